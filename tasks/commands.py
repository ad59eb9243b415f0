"""What a person may do to a run, and the sentence that answers."""

import time

from db import queries, transitions
from db.models import RunStatus
from engine.errors import UserError
from tasks import reconcile
from tasks.settings import open_database, settings
from tasks.submit import ring

_swept_at = -float("inf")


def stop(run_id: str, actor: str) -> str:
    """Ask a run to stop and say what follows."""
    with open_database().write() as session:
        status = transitions.request_stop(session, run_id, actor)
    if status is RunStatus.CANCELLED:
        return "Cancelled; it had not started"
    if status is RunStatus.STOPPING:
        return "Stopping at the next step; what was recorded stays"
    return f"Nothing to stop: the run is already {_status(run_id)}"


def resume(run_id: str, actor: str) -> str:
    """Queue a run again that failed, was cancelled or was interrupted."""
    with open_database().write() as session:
        queued = transitions.requeue(session, run_id, actor, transitions.USER)
    if not queued:
        return f"Nothing to resume: the run is {_status(run_id)}"
    rung = ring(open_database())
    return (
        "Queued again" if rung else "Queued again; the broker is unreachable, it starts by itself"
    )


def delete(run_id: str, actor: str) -> str:
    """Delete an ended run with everything that it recorded.

    Raises:
        UserError: The run has not ended.
    """
    with open_database().write() as session:
        going = transitions.start_deletion(session, run_id, actor)
    status = _status(run_id)
    if not going and status not in ("gone", "deleting"):
        raise UserError(f"RUN: the run is {status}; stop it first, then delete it")
    reconcile.finish_deletion(open_database(), run_id)
    return "Deleted, with its weights, checkpoints and curves"


def sweep() -> None:
    """Look for lost runs, at most as often as a worker does; a page calls this when it loads."""
    global _swept_at
    if time.monotonic() - _swept_at < settings().sweep_seconds:
        return
    _swept_at = time.monotonic()
    reconcile.sweep(open_database())


def find_run(prefix: str) -> str:
    """Return the id that starts with a prefix.

    Raises:
        UserError: There is none, or more than one.
    """
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
