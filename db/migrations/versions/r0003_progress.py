"""What a run's dataset was at its launch, and when an attempt last got on."""

import sqlalchemy as sa
from alembic import op

from db.types import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("run") as run:
        run.add_column(sa.Column("data_digest", sa.String(length=64), nullable=True))
    with op.batch_alter_table("attempt") as attempt:
        attempt.add_column(sa.Column("progress_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("attempt") as attempt:
        attempt.drop_column("progress_at")
    with op.batch_alter_table("run") as run:
        run.drop_column("data_digest")
