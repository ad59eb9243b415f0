"""Which revision of the tables a worker's program knows."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("worker") as worker:
        worker.add_column(
            sa.Column("revision", sa.String(length=32), nullable=False, server_default="")
        )


def downgrade() -> None:
    with op.batch_alter_table("worker") as worker:
        worker.drop_column("revision")
