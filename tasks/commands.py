"""What a person may do to a run, and the sentence that answers."""

from db.models import RESUMABLE, USER, RunStatus
from db.reads import placement, queries, waiting
from db.writes import deletion, transitions
from db.writes import placement as placing
from engine.errors import UserError
from tasks.queue.messages import withdraw
from tasks.queue.place import ANYWHERE, Place, in_words, what_it_waits_for
from tasks.queue.submit import NOT_SENT, send_messages, waiting_of
from tasks.recording.checkpoints import is_here
from tasks.settings import open_database, settings
from tasks.stored_scenario import require_dataset
from tasks.worker import reconcile


def stop(run_id: str, actor: str) -> str:
    """Ask a run to stop and say what follows."""
    reconcile.end_lost(open_database(), run_id)
    with open_database().write() as session:
        status = transitions.request_stop(session, run_id, actor)
    if status is RunStatus.CANCELLED:
        return "Cancelled; nothing of it was at work"
    if status is RunStatus.STOPPING:
        return "Stopping at the next step; what was recorded stays"
    found = _status(run_id)
    if found == RunStatus.STOPPING:
        return "Already stopping; it ends after its step"
    return f"Already finished: the run is {found}"


def resume(run_id: str, actor: str) -> str:
    """Queue a run again that failed, was cancelled or was interrupted, or whose worker is gone.

    Raises:
        UserError: Its dataset is unknown here.
    """
    reconcile.end_lost(open_database(), run_id)
    with open_database().read() as session:
        run = queries.get_run(session, run_id)
    if run is not None and run.status in RESUMABLE:
        require_dataset(run)
    with open_database().write() as session:
        queued = transitions.requeue(session, run_id, actor, reason=USER)
    if not queued:
        return f"Nothing to resume: the run is {_status(run_id)}"
    sent = send_messages(open_database())
    return "Queued again" if sent else NOT_SENT


def place(run_id: str, actor: str, wanted: Place) -> str:
    """Give a run that waits, or may be resumed, another queue, priority or need of memory.

    Raises:
        UserError: The queue is unknown.
    """
    database = open_database()
    wanted.require_known(database)
    with database.write() as session:
        before = placement.tickets(session, [run_id])
        told = f"Now {in_words(wanted)}"
        placed = placing.place(session, run_id, actor, places=vars(wanted), message=told)
    if not placed:
        return f"Too late: the run is {_status(run_id)}"
    for ticket in before:
        withdraw(waiting_of(ticket))
    return told if send_messages(database) else f"{told}; the broker is unreachable"


def place_of(run_id: str) -> Place:
    """Return what a run asks for now; the usual if it is gone."""
    with open_database().read() as session:
        run = queries.get_run(session, run_id)
    return Place(run.queue, run.priority, run.memory_needed) if run else ANYWHERE


def why_it_waits(run_id: str) -> str | None:
    """Say what a queued run waits for; nothing if it does not wait."""
    with open_database().read() as session:
        wait = waiting.wait_of(session, run_id)
    return None if wait is None else what_it_waits_for(wait)


def delete(run_id: str, actor: str, *, leave_files: bool = False) -> str:
    """Delete an ended run with everything that it recorded, and the jobs about it.

    Args:
        run_id: Which run.
        actor: Who asks.
        leave_files: Whether its rows go at once although files on other hosts stay there.

    Raises:
        UserError: The run or a job about it has not ended.
    """
    database = open_database()
    reconcile.end_lost(database, run_id)
    with database.read() as session:
        jobs = queries.list_jobs(session, run_id)
    with database.write() as session:
        going = deletion.start_deletion(session, run_id, actor)
    status = _status(run_id)
    if not going and status not in ("gone", "deleting"):
        raise UserError(f"Stop it first: {_what_holds(run_id) or f'the run is {status}'}")
    for job in jobs:
        reconcile.finish_deletion(database, job.id, leave_files=leave_files)
    far = _files_elsewhere(run_id)
    reconcile.finish_deletion(database, run_id, leave_files=leave_files)
    if _status(run_id) != "deleting":
        stays = (
            f"; its files stay on {far}" if far else ", with its weights, checkpoints and curves"
        )
        return f"Deleted{stays}"
    if not _files_elsewhere(run_id):
        return "Going; some of its files are in use, and are tried again by themselves"
    return (
        f"Going; its files on {far} are deleted by the next worker there (`caat delete {run_id} "
        "--leave-files` forgets the run now and leaves them)"
    )


def _what_holds(run_id: str) -> str:
    """Return which job about a run has not ended; nothing if all have."""
    with open_database().read() as session:
        jobs = queries.list_jobs(session, run_id)
    active = [f"its {job.kind} {job.id} is {job.status}" for job in jobs if job.is_active]
    return ", ".join(active)


def _files_elsewhere(run_id: str) -> str:
    """Return where a run has files that this process does not reach; nothing if it has none."""
    with open_database().read() as session:
        run = queries.get_run(session, run_id)
    far = [a for a in run.attempts if not is_here(settings().data_dir, a)] if run else []
    return ", ".join(dict.fromkeys(f"{a.host} {a.data_dir}".strip() for a in far))


def find_run(prefix: str) -> str:
    """Return the id that starts with a prefix.

    Raises:
        UserError: There is none, or more than one, or nothing is asked for.
    """
    if not prefix.strip():
        raise UserError("RUN: no id is given; `caat status` lists the runs")
    with open_database().read() as session:
        found = queries.find_runs(session, prefix)
    if len(found) != 1:
        what = f"{len(found)} runs start" if found else "no run starts"
        raise UserError(f"RUN: {what} with {prefix!r}; `caat status` lists the runs")
    return found[0]


def _status(run_id: str) -> str:
    with open_database().read() as session:
        run = queries.get_run(session, run_id)
    return run.status.value if run else "gone"
