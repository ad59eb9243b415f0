"""Tags and notes of runs, and saved views of the list of runs."""

import sqlalchemy as sa
from alembic import op

from db.types import UtcDateTime, db_now

revision = "0010"
down_revision = "0009"

_LISTED = "ix_run_kind_status_created_at_id"


def upgrade() -> None:
    op.add_column("run", sa.Column("notes", sa.Text(), nullable=False, server_default=""))
    op.create_index(_LISTED, "run", ["kind", "status", "created_at", "id"])
    op.create_table(
        "run_tag",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("tag", sa.String(60), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name="fk_run_tag_run_id_run", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "tag", name="pk_run_tag"),
    )
    op.create_index("ix_run_tag_tag", "run_tag", ["tag"])
    op.create_table(
        "saved_view",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False, server_default=db_now()),
        sa.PrimaryKeyConstraint("name", name="pk_saved_view"),
    )


def downgrade() -> None:
    op.drop_table("saved_view")
    op.drop_index("ix_run_tag_tag", "run_tag")
    op.drop_table("run_tag")
    op.drop_index(_LISTED, "run")
    # In place on both databases; a batch would copy the table on SQLite.
    op.execute("ALTER TABLE run DROP COLUMN notes")
