"""Where an attempt's lock is: what tells a dead worker from one that is somewhere else."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("attempt") as attempt:
        attempt.add_column(
            sa.Column("lock_domain", sa.String(length=80), nullable=False, server_default="")
        )
        attempt.add_column(sa.Column("data_dir", sa.Text(), nullable=False, server_default=""))
        attempt.add_column(
            sa.Column("lease_seconds", sa.Double(), nullable=False, server_default="60")
        )


def downgrade() -> None:
    with op.batch_alter_table("attempt") as attempt:
        attempt.drop_column("lease_seconds")
        attempt.drop_column("data_dir")
        attempt.drop_column("lock_domain")
