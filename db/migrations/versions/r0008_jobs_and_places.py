"""What kind of job a run is, and where it may be done: queues, priorities, owners, memory."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_RUN: tuple[sa.Column[Any], ...] = (
    sa.Column("kind", sa.String(16), nullable=False, server_default="training"),
    sa.Column("subject_id", sa.String(32), nullable=True),
    sa.Column("request", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("queue", sa.String(40), nullable=False, server_default="default"),
    sa.Column("priority", sa.Integer(), nullable=False, server_default="5"),
    sa.Column("owner", sa.String(100), nullable=False, server_default=""),
    sa.Column("memory_needed", sa.BigInteger(), nullable=True),
)
_INDEXES = (
    ("subject_id",),
    ("status", "owner", "priority", "queued_at"),
    ("owner", "started_at"),
)
_WORKER: tuple[sa.Column[Any], ...] = (
    sa.Column("queues", sa.Text(), nullable=False, server_default=""),
    sa.Column("datasets", sa.Text(), nullable=False, server_default=""),
    sa.Column("memory_total", sa.BigInteger(), nullable=True),
    sa.Column("memory_used", sa.BigInteger(), nullable=True),
    sa.Column("utilisation", sa.Double(), nullable=True),
)


def upgrade() -> None:
    for column in _RUN:
        op.add_column("run", column._copy())
    for columns in _INDEXES:
        op.create_index(f"ix_run_{'_'.join(columns)}", "run", list(columns))
    for column in _WORKER:
        op.add_column("worker", column._copy())


def downgrade() -> None:
    op.execute("DELETE FROM run WHERE kind <> 'training'")
    for columns in _INDEXES:
        op.drop_index(f"ix_run_{'_'.join(columns)}", "run")
    for column in _RUN:  # in place on both databases; a batch would copy the table on SQLite
        op.execute(f"ALTER TABLE run DROP COLUMN {column.name}")
    for column in _WORKER:
        op.execute(f"ALTER TABLE worker DROP COLUMN {column.name}")
