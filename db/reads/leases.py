"""Who holds runs, and until when: what the judgement that a worker is gone is made of."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import HELD, Attempt, Run
from db.reads.rows import Holder
from db.types import db_now

_COLUMNS = (
    Attempt.run_id,
    Attempt.number,
    Attempt.worker_id,
    Attempt.host,
    Attempt.boot_id,
    Attempt.lock_domain,
    Attempt.data_dir,
    Attempt.lease_until,
    Attempt.lease_seconds,
)


def holders(session: Session, run_id: str | None = None) -> list[Holder]:
    """Return the attempts in work, of all runs or of one."""
    found = select(*_COLUMNS, db_now().label("now")).join(Run, _CURRENT).where(*_IN_WORK)
    if run_id is not None:
        found = found.where(Run.id == run_id)
    rows = session.execute(found.order_by(Attempt.run_id)).mappings()
    return [holder_of(row, row["run_id"], row["number"]) for row in rows]


def holder_of(row: Any, run_id: str, number: int) -> Holder:
    """Return who holds a run, of a row with an attempt's columns and ``now``."""
    return Holder(
        run_id=run_id,
        number=number,
        worker_id=row["worker_id"],
        host=row["host"],
        boot_id=row["boot_id"],
        lock_domain=row["lock_domain"],
        data_dir=row["data_dir"],
        lease_until=row["lease_until"],
        lease_seconds=row["lease_seconds"],
        lease_left=(row["lease_until"] - row["now"]).total_seconds(),
    )


def lock_if_silent(session: Session, holder: Holder) -> bool:
    """Tell whether an attempt has said nothing since it was seen, and keep it from doing so.

    Until the transaction ends a late heartbeat waits, so that it cannot come between this answer
    and what is done about it. What another transaction holds locked is at work: False.
    """
    found = (
        select(Attempt.number)
        .join(Run, _CURRENT)
        .where(Attempt.run_id == holder.run_id, Attempt.number == holder.number, *_IN_WORK)
        .where(Attempt.lease_until == holder.lease_until)
        .with_for_update(of=[Run, Attempt], skip_locked=True)
    )
    return session.execute(found).scalar() is not None


_CURRENT = (Run.id == Attempt.run_id) & (Run.attempt == Attempt.number)
_IN_WORK = (Attempt.ended_at.is_(None), Run.status.in_(HELD))
