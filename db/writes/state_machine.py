"""The legal edges between statuses, and the one statement that moves a run along one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import Session

from db.migrate import head_revision
from db.models import HELD, Attempt, Run, RunEvent, RunStatus
from db.portable import tidy_text

NO_SYNC = {"synchronize_session": False}  # nothing here reads ORM objects after it wrote

LEGAL_EDGES: Mapping[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.CANCELLED}),
    RunStatus.RUNNING: frozenset(
        {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.STOPPING, RunStatus.INTERRUPTED}
    ),
    # A run may reach its end, good or bad, before its trainer sees the request to stop.
    RunStatus.STOPPING: frozenset({RunStatus.CANCELLED, RunStatus.SUCCEEDED, RunStatus.FAILED}),
    RunStatus.INTERRUPTED: frozenset({RunStatus.QUEUED, RunStatus.CANCELLED, RunStatus.FAILED}),
    RunStatus.SUCCEEDED: frozenset({RunStatus.DELETING}),
    RunStatus.FAILED: frozenset({RunStatus.QUEUED, RunStatus.DELETING}),
    RunStatus.CANCELLED: frozenset({RunStatus.QUEUED, RunStatus.DELETING}),
    RunStatus.DELETING: frozenset(),
}
"""What may follow what; a run in ``deleting`` leaves only by being gone."""


@dataclass(frozen=True)
class Note:
    """Why a status changes, and who says so."""

    actor: str
    reason: str | None = None
    message: str | None = None


def change(
    session: Session,
    run_id: str,
    edge: tuple[RunStatus, RunStatus],
    *,
    note: Note,
    only: Sequence[ColumnElement[bool]] = (),
    **values: Any,
) -> int | None:
    """Move a run along one edge and return its attempt, or nothing if it was not there.

    Args:
        session: A writing one.
        run_id: Which run.
        edge: From where to where.
        note: Who says so, and why.
        only: What else must hold of the run.
        **values: Columns that change with it.

    Raises:
        ValueError: The edge is not legal.
    """
    source, target = edge
    if target not in LEGAL_EDGES[source]:
        raise ValueError(f"{source} -> {target} is not legal")
    values |= {"status": target, "reason": note.reason, "message": tidy_text(note.message)}
    conditions = [Run.id == run_id, Run.status == source, *only]
    if target is RunStatus.RUNNING:
        conditions.append(Run.min_worker_rev <= head_revision())
    statement = update(Run).where(*conditions).values(**values).returning(Run.attempt)
    attempt = session.execute(statement, execution_options=NO_SYNC).scalar()
    if attempt is not None:
        record(session, run_id, attempt, edge=edge, note=note)
    return attempt


def record(
    session: Session,
    run_id: str,
    attempt: int,
    *,
    edge: tuple[RunStatus | None, RunStatus],
    note: Note,
) -> None:
    source, target = edge
    event = {"run_id": run_id, "attempt": attempt, "from_status": source, "to_status": target}
    event |= {"reason": note.reason, "message": tidy_text(note.message), "actor": note.actor[:100]}
    session.execute(insert(RunEvent).values(**event))


def remark(session: Session, run_id: str, attempt: int, *, reason: str, message: str) -> bool:
    """Tell something that changes no status, as an event from the status to itself.

    False, and nothing is told, if the run is no longer held by this attempt.
    """
    status = locked_status(session, run_id, attempt)
    if status not in HELD:
        return False
    holder = select(Attempt.worker_id).where(Attempt.run_id == run_id, Attempt.number == attempt)
    actor = session.execute(holder).scalar() or "unknown"
    record(session, run_id, attempt, edge=(status, status), note=Note(actor, reason, message))
    return True


def locked_status(session: Session, run_id: str, attempt: int | None = None) -> RunStatus | None:
    """Return the status, which then cannot change until the transaction ends.

    A writing SQLite transaction is alone anyway.
    """
    found = select(Run.status).where(Run.id == run_id)
    if attempt is not None:
        found = found.where(Run.attempt == attempt)
    return session.execute(found.with_for_update(key_share=True)).scalar()


def update_attempt(session: Session, run_id: str, attempt: int, **values: Any) -> bool:
    active = (Attempt.run_id == run_id, Attempt.number == attempt, Attempt.ended_at.is_(None))
    statement = update(Attempt).where(*active).values(**values).returning(Attempt.number)
    return session.execute(statement, execution_options=NO_SYNC).scalar() is not None
