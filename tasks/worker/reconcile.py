"""Find runs whose worker is gone, and bring them back or say why not; end half-done deletions."""

from sqlalchemy.orm import Session

from db.models import HELD, USER, RunStatus
from db.reads import leases, queries
from db.reads.rows import Holder
from db.session import Database
from db.writes import deletion, interruption, transitions
from db.writes.interruption import Interrupted
from tasks.folder import delete
from tasks.queue.submit import send_messages
from tasks.recording import causes, checkpoints
from tasks.settings import settings
from tasks.worker import liveness

ACTOR = "reconciler"


def sweep(database: Database, *, thorough: bool = True) -> bool:
    """End what is lost, queue it again while tries are left, and send the messages of what waits.

    This is for workers, which then take what is queued. Where nothing is left to do, it costs one
    statement.

    Args:
        database: Where the runs are.
        thorough: Whether to look for messages of runs that do not wait although none waits.

    Returns:
        Whether a run is at work.

    Raises:
        DatabaseError: The database did not answer.
    """
    with database.read() as session:
        found = queries.status_counts(session)
    is_at_work = any(status in found for status in HELD)
    if is_at_work:
        end_lost(database, resumes=True)
    if is_at_work or RunStatus.INTERRUPTED in found:
        with database.write() as session:
            for waiting in interruption.resumable(session, settings().retry_after_seconds):
                queue_again(session, waiting)
    for run_id in _half_deleted(database) if RunStatus.DELETING in found else []:
        finish_deletion(database, run_id)
    if found or thorough:
        send_messages(database)
    return is_at_work


def end_lost(database: Database, run_id: str | None = None, *, resumes: bool = False) -> None:
    """Write down that the worker of a run is gone, of all runs or of one.

    Args:
        database: Where the runs are.
        run_id: Which one; None is all.
        resumes: Whether this process sees to it that they go on.

    Raises:
        DatabaseError: The database did not answer.
    """
    gone = lost(database, run_id)
    if gone:
        with database.write() as session:
            for holder in gone:
                _end(session, holder, resumes=resumes)


def lost(database: Database, run_id: str | None = None) -> list[Holder]:
    """Return the attempts in work whose worker is gone; nothing is written."""
    with database.read() as session:
        in_work = leases.holders(session, run_id)
    return [holder for holder in in_work if liveness.is_gone(holder, database)]


def _half_deleted(database: Database) -> list[str]:
    with database.read() as session:
        return queries.runs_with_status(session, RunStatus.DELETING)


def finish_deletion(database: Database, run_id: str, *, leave_files: bool = False) -> None:
    """Delete the files of a run that is marked as going, then its rows.

    In this order, since a row without files can be ended by the next sweep, and files without a row
    would stay for ever. Files that are on another host, or cannot be deleted, keep their row: a
    sweep there, or a later one, ends the deletion.

    Args:
        database: Where the run is.
        run_id: Which run.
        leave_files: Whether the rows go although files on other hosts stay.
    """
    with database.read() as session:
        run = queries.get_run(session, run_id)
    if run is None or run.status is not RunStatus.DELETING:
        return
    here = [a.number for a in run.attempts if checkpoints.is_here(settings().data_dir, a)]
    if run.attempts and not here and not leave_files:
        return
    if not delete(settings().run_dir(run_id)):
        return
    with database.write() as session:
        left = deletion.files_deleted(session, run_id, here)
        if not left or leave_files:
            deletion.finish_deletion(session, run_id)


def _end(session: Session, holder: Holder, *, resumes: bool) -> None:
    """End an attempt whose worker is gone; nothing happens if it has said something meanwhile."""
    if not leases.lock_if_silent(session, holder):
        return
    run_id, number = holder.run_id, holder.number
    is_free = liveness.lock_is_held(holder) is False
    what = "is gone" if is_free else "has stopped reporting"
    told = f"{holder.worker_id} {what}"
    message = causes.lost(session, run_id, number, what=told, resumes=resumes)
    if not transitions.interrupt(
        session, run_id, number, reason=causes.LOST, message=message, actor=ACTOR
    ):
        stopped = "Stopped; its worker was gone before it could say so"
        transitions.finish(
            session, run_id, number, status=RunStatus.CANCELLED, reason=USER, message=stopped
        )


def has_tries_left(waiting: Interrupted) -> bool:
    """Tell whether an interrupted run is queued again by a worker, not only by a person."""
    times = waiting.lost if waiting.reason == causes.LOST else waiting.times
    return times <= causes.retries(waiting.reason)


def queue_again(session: Session, waiting: Interrupted) -> None:
    """Queue a run while its cause has tries left; then a lost one fails, any other waits."""
    if has_tries_left(waiting):
        transitions.requeue(session, waiting.run_id, ACTOR, reason="retry")
    elif waiting.reason == causes.LOST:
        message = causes.lost_too_often(waiting.lost)
        transitions.give_up(
            session, waiting.run_id, ACTOR, reason=causes.LOST_TOO_OFTEN, message=message
        )
