"""What a study calls its runs, and that it shares one with the study that launched it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "study_cell",
        sa.Column("study", sa.String(200), nullable=False),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("scenario", sa.String(200), nullable=False),
        sa.Column("method", sa.String(200), nullable=False),
        sa.Column("family", sa.String(200), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name="fk_study_cell_run_id_run", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study", "run_id", name="pk_study_cell"),
    )
    op.create_index("ix_study_cell_run_id", "study_cell", ["run_id"])


def downgrade() -> None:
    op.drop_index("ix_study_cell_run_id", "study_cell")
    op.drop_table("study_cell")
