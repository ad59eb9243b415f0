"""Find runs whose worker is gone, and bring them back or say why not; end half-done deletions."""

from sqlalchemy.orm import Session

from db import queries, transitions
from db.models import Attempt, RunStatus
from db.session import Database
from db.transitions import Interrupted
from tasks import causes, lock
from tasks.folder import delete
from tasks.host import boot_id, host_name
from tasks.settings import settings
from tasks.submit import ring

ACTOR = "reconciler"


def sweep(database: Database) -> None:
    """End what is lost, queue it again while tries are left, and ring for what waits.

    Raises:
        DatabaseError: The database did not answer.
    """
    silent = silent_here(database)
    with database.write() as session:
        for attempt in transitions.expired_attempts(session):
            _end(session, attempt, f"{attempt.worker_id} has not been heard of")
        for attempt in silent:
            _end(session, attempt, f"{attempt.worker_id} is gone")
        for waiting in transitions.resumable(session, settings().retry_after_seconds):
            _queue_again(session, waiting)
    for run_id in _half_deleted(database):
        finish_deletion(database, run_id)
    ring(database)


def _half_deleted(database: Database) -> list[str]:
    with database.read() as session:
        return queries.runs_with_status(session, RunStatus.DELETING)


def finish_deletion(database: Database, run_id: str) -> None:
    """Delete the files of a run that is marked as going, then its rows.

    In this order, since a row without files can be ended by the next sweep, and files without a row
    would stay for ever. Files that cannot be deleted keep their row, for a later sweep.
    """
    if not delete(settings().run_dir(run_id)):
        return
    with database.write() as session:
        transitions.finish_deletion(session, run_id)


def silent_here(database: Database) -> list[Attempt]:
    """Return this host's attempts whose lock is free: the kernel says that their worker is dead."""
    with database.read() as session:
        mine = transitions.live_attempts(session, host_name(), boot_id())
    return [attempt for attempt in mine if not lock.is_held(settings().run_dir(attempt.run_id))]


def _end(session: Session, attempt: Attempt, what: str) -> None:
    """End an attempt whose worker is dead; nothing happens if it ended by itself meanwhile."""
    run_id, number = attempt.run_id, attempt.number
    message = causes.lost(session, run_id, number, what)
    if not transitions.interrupt(session, run_id, number, causes.LOST, message, ACTOR):
        stopped = "Stopped; its worker was gone before it could say so"
        transitions.finish(session, run_id, number, RunStatus.CANCELLED, transitions.USER, stopped)


def _queue_again(session: Session, waiting: Interrupted) -> None:
    """Queue a run while its cause has tries left; then a lost one fails, any other waits."""
    is_lost = waiting.reason == causes.LOST
    times = waiting.lost if is_lost else waiting.times
    if times <= causes.retries(waiting.reason):
        transitions.requeue(session, waiting.run_id, ACTOR, "retry")
    elif is_lost:
        message = causes.poison(waiting.lost)
        transitions.give_up(session, waiting.run_id, ACTOR, "poison", message)
