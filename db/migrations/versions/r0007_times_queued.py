"""How many times a run was queued: with its id the id of its task at the broker."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column(
        "run", sa.Column("times_queued", sa.Integer(), nullable=False, server_default="1")
    )


def downgrade() -> None:
    # In place on both databases; a batch would copy the table on SQLite.
    op.execute("ALTER TABLE run DROP COLUMN times_queued")
