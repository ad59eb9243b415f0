"""Where a run is to be done, and when: changed while nobody has it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from db.models import RESUMABLE, USER, Run, RunStatus
from db.writes.state_machine import NO_SYNC, Note, locked_status, record

PLACEABLE = (RunStatus.QUEUED, *RESUMABLE)
"""A run in one of these waits, or may wait again."""


def place(
    session: Session, run_id: str, actor: str, *, places: Mapping[str, Any], message: str
) -> bool:
    """Give a run another queue, priority or need of memory; its message is sent anew.

    Args:
        session: A writing one.
        run_id: Which run.
        actor: Who asks.
        places: The columns that change: ``queue``, ``priority``, ``memory_needed``.
        message: The same in words, for the run's history.

    Returns:
        Whether it happened: not to a run that is at work, done or gone.
    """
    status = locked_status(session, run_id)
    if status not in PLACEABLE:
        return False
    changed = update(Run).where(Run.id == run_id).values(**places, sent_at=None)
    attempt = session.execute(changed.returning(Run.attempt), execution_options=NO_SYNC).scalar()
    edge, note = (status, status), Note(actor, USER, message)
    record(session, run_id, attempt or 0, edge=edge, note=note)
    return True
