"""Plain names: when a run's message was sent, and the reason of a run that was lost too often."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # In place on both databases; a batch would copy the table on SQLite.
    op.execute("ALTER TABLE run RENAME COLUMN rung_at TO sent_at")
    _rename_reason("poison", "lost_too_often")


def downgrade() -> None:
    _rename_reason("lost_too_often", "poison")
    op.execute("ALTER TABLE run RENAME COLUMN sent_at TO rung_at")


def _rename_reason(before: str, after: str) -> None:
    for table in ("run", "run_event"):
        op.execute(f"UPDATE {table} SET reason = '{after}' WHERE reason = '{before}'")
