"""Every change of a run's status, each one conditional UPDATE whose row count is the answer.

A function returns whether it happened; that it did not is no error but news: someone else was
first. The event row is written in the same transaction. On PostgreSQL locks are taken in one
order, run before attempt.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.orm import Session

from db.migrate import head_revision
from db.models import (
    DEFAULT_QUEUE,
    DRAIN,
    ENDED,
    HELD,
    NORMAL_PRIORITY,
    RESUMABLE,
    STOPS_AS,
    TRAINING,
    USER,
    Attempt,
    Run,
    RunStatus,
    new_run_id,
)
from db.portable import dialect_insert, tidy_text
from db.types import db_now, older_than
from db.writes.state_machine import LEGAL_EDGES as LEGAL_EDGES
from db.writes.state_machine import NO_SYNC, Note, change, locked_status, record, update_attempt
from db.writes.state_machine import remark as remark


@dataclass(frozen=True)
class NewRun:
    """What is known of a run when it is submitted."""

    name: str
    scenario: dict[str, Any]
    scenario_digest: str
    method: str
    dataset: str
    seed: int
    num_epochs: int
    study: str | None = None
    data_digest: str | None = None
    """Fingerprint of the dataset."""
    idempotency_key: str | None = None
    """Two submissions with one key make one run."""
    queue: str = DEFAULT_QUEUE
    priority: int = NORMAL_PRIORITY
    owner: str = ""
    memory_needed: int | None = None
    """Bytes of a device."""
    kind: str = TRAINING
    subject_id: str | None = None
    """Of a job: the run that it is about."""
    request: dict[str, Any] | None = None
    """Of a job: what it is asked for."""


@dataclass(frozen=True)
class WorkerIdentity:
    """Who holds an attempt, precisely enough to tell whether it still lives."""

    id: str
    host: str
    boot_id: str
    pid: int
    device: str
    lock_domain: str = ""
    data_dir: str = ""


def create_run(session: Session, new: NewRun, actor: str) -> tuple[str, bool]:
    """Queue a run and return its id and True, or the id that the key already has and False."""
    values = {name: getattr(new, name) for name in NewRun.__dataclass_fields__}
    values |= {"id": new_run_id(), "name": tidy_text(new.name), "status": RunStatus.QUEUED}
    values["min_worker_rev"] = head_revision()
    statement = dialect_insert(session, Run).on_conflict_do_nothing(
        index_elements=[Run.idempotency_key]
    )
    run_id = session.execute(statement.values(**values).returning(Run.id)).scalar()
    if run_id is None:
        known = select(Run.id).where(Run.idempotency_key == new.idempotency_key)
        return session.execute(known).scalar_one(), False
    record(session, run_id, 0, edge=(None, RunStatus.QUEUED), note=Note(actor))
    return run_id, True


def claim(
    session: Session,
    run_id: str,
    worker: WorkerIdentity,
    *,
    lease_seconds: float,
    times_queued: int | None = None,
) -> int | None:
    """Take a queued run and return the number of the new attempt, or nothing: too late.

    Args:
        session: A writing one.
        run_id: Which run.
        worker: Who takes it.
        lease_seconds: How long the attempt may say nothing.
        times_queued: How many times it was queued when its message was sent; the message of an
            earlier time takes nothing. None takes it anyway.
    """
    number = change(
        session,
        run_id,
        (RunStatus.QUEUED, RunStatus.RUNNING),
        note=Note(worker.id),
        only=() if times_queued is None else (Run.times_queued == times_queued,),
        attempt=Run.attempt + 1,
        started_at=func.coalesce(Run.started_at, db_now()),
    )
    if number is not None:
        who = {name: value for name, value in vars(worker).items() if name != "id"}
        values = {"run_id": run_id, "number": number, "worker_id": worker.id, **who}
        lease = {"lease_until": db_now(lease_seconds), "lease_seconds": lease_seconds}
        session.execute(insert(Attempt).values(**values, **lease))
    return number


def heartbeat(
    session: Session, run_id: str, attempt: int, *, lease_seconds: float
) -> RunStatus | None:
    """Extend the lease and return the run's status, or nothing: replaced or ended, write no more.

    It locks the attempt only, so that a long transaction of the recorder never delays it.
    """
    lease = {"lease_until": db_now(lease_seconds), "lease_seconds": lease_seconds}
    if not update_attempt(session, run_id, attempt, **lease):
        return None
    held = select(Run.status).where(Run.id == run_id, Run.attempt == attempt, Run.status.in_(HELD))
    return session.execute(held).scalar()


def progress(  # noqa: PLR0913 - one column each, all keyword-only
    session: Session,
    run_id: str,
    attempt: int,
    *,
    epoch: int,
    step: int,
    num_steps: int,
    phase: str,
) -> None:
    """Say where an attempt is; a replaced attempt says nothing any more."""
    place = {"epoch": epoch, "step": step, "num_steps": num_steps, "phase": phase}
    update_attempt(session, run_id, attempt, **place, progress_at=db_now())


def fence(session: Session, run_id: str, attempt: int) -> bool:
    """Tell whether this attempt may still write; if so it may until the transaction ends.

    On PostgreSQL it locks the row FOR NO KEY UPDATE rather than FOR SHARE: the same transaction
    goes on to update the row, and two that share a lock and both want more wait for ever.
    """
    return locked_status(session, run_id, attempt) in HELD


def ended_with(session: Session, run_id: str, attempt: int) -> bool:
    """Tell whether a run ended with this attempt; it then stays so until the transaction ends."""
    return locked_status(session, run_id, attempt) in ENDED


def epoch_done(session: Session, run_id: str, attempt: int, *, epoch: int) -> None:
    """Count an epoch as recorded; an attempt that got that far was not lost at its start."""
    mine = (Run.id == run_id, Run.attempt == attempt, Run.status.in_(HELD))
    session.execute(
        update(Run).where(*mine).values(epoch=epoch, infra_attempts=0), execution_options=NO_SYNC
    )


def request_stop(
    session: Session, run_id: str, actor: str, *, message: str | None = None
) -> RunStatus | None:
    """Cancel what waits, ask what runs to stop; nothing if there is nothing to stop."""
    status = locked_status(session, run_id)
    target = STOPS_AS.get(status) if status else None
    if status is None or target is None:
        return None
    ended: dict[str, Any] = {"ended_at": db_now()} if target is RunStatus.CANCELLED else {}
    changed = change(session, run_id, (status, target), note=Note(actor, USER, message), **ended)
    return target if changed is not None else None


def finish(
    session: Session,
    run_id: str,
    attempt: int,
    *,
    status: RunStatus,
    reason: str | None = None,
    message: str | None = None,
) -> bool:
    """Give the run that this attempt holds its last status: succeeded, failed or cancelled."""
    if status not in ENDED:
        raise ValueError(f"{status} is no end")
    source = locked_status(session, run_id, attempt)
    if source not in HELD or status not in LEGAL_EDGES[source]:
        return False
    note = Note(_worker_of(session, run_id, attempt), reason, message)
    changed = change(session, run_id, (source, status), note=note, ended_at=db_now())
    return changed is not None and _end_attempt(session, run_id, attempt, outcome=status)


def interrupt(
    session: Session,
    run_id: str,
    attempt: int,
    *,
    reason: str,
    message: str | None,
    actor: str | None = None,
) -> bool:
    """Take the run from this attempt, to be resumed from its last recorded epoch.

    It counts as a lost attempt, unless the worker was told to stop.
    """
    if locked_status(session, run_id, attempt) is not RunStatus.RUNNING:
        return False
    note = Note(actor or _worker_of(session, run_id, attempt), reason, message)
    lost = Run.infra_attempts + (0 if reason == DRAIN else 1)
    edge = (RunStatus.RUNNING, RunStatus.INTERRUPTED)
    changed = change(session, run_id, edge, note=note, infra_attempts=lost)
    return changed is not None and _end_attempt(session, run_id, attempt, outcome=reason)


def requeue(session: Session, run_id: str, actor: str, *, reason: str) -> bool:
    """Queue an interrupted run again; with reason `USER` also a failed or cancelled one.

    Only a person may revive what ended, so that an automatic retry never undoes a stop; and a
    person's resume forgets the attempts lost before it.
    """
    by_user = reason == USER
    source = locked_status(session, run_id)
    if source is None or source not in (RESUMABLE if by_user else (RunStatus.INTERRUPTED,)):
        return False
    values: dict[str, Any] = {"queued_at": db_now(), "sent_at": None, "ended_at": None}
    values["times_queued"] = Run.times_queued + 1
    if by_user:
        values["infra_attempts"] = 0
    edge = (source, RunStatus.QUEUED)
    return change(session, run_id, edge, note=Note(actor, reason), **values) is not None


def give_up(session: Session, run_id: str, actor: str, *, reason: str, message: str) -> bool:
    """Fail an interrupted run that is not worth another automatic attempt."""
    edge = (RunStatus.INTERRUPTED, RunStatus.FAILED)
    note = Note(actor, reason, message)
    return change(session, run_id, edge, note=note, ended_at=db_now()) is not None


def take_unsent(session: Session, older_than_seconds: float, at_most: int = 100) -> list[str]:
    """Return queued runs whose message is due, oldest first, and note them as sent.

    Only one caller gets each. The messages of a long queue are sent bit by bit.
    """
    due = or_(Run.sent_at.is_(None), older_than(Run.sent_at, older_than_seconds))
    oldest = select(Run.id).where(Run.status == RunStatus.QUEUED, due).order_by(Run.queued_at)
    statement = (
        update(Run)
        .where(Run.status == RunStatus.QUEUED, due, Run.id.in_(oldest.limit(at_most)))
        .values(sent_at=db_now())
        .returning(Run.queued_at, Run.id)
    )
    rows = session.execute(statement, execution_options=NO_SYNC).all()
    return [row.id for row in sorted(rows, key=lambda row: row.queued_at)]


def _end_attempt(session: Session, run_id: str, attempt: int, *, outcome: str) -> bool:
    return update_attempt(session, run_id, attempt, ended_at=db_now(), outcome=outcome)


def _worker_of(session: Session, run_id: str, attempt: int) -> str:
    holder = select(Attempt.worker_id).where(Attempt.run_id == run_id, Attempt.number == attempt)
    return session.execute(holder).scalar() or "unknown"
