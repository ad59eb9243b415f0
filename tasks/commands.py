"""What a person may do to a run, and the sentence that answers."""

import logging
import time

from db import queries, transitions
from db.models import RunStatus
from engine.errors import UserError
from tasks import reconcile
from tasks.patience import AWAY
from tasks.settings import open_database, settings
from tasks.submit import UNHEARD, ring

SPARED = 30.0
"""Seconds that a database is left alone after it did not answer a page's look for lost runs."""
log = logging.getLogger(__name__)
_swept_at = -float("inf")


def stop(run_id: str, actor: str) -> str:
    """Ask a run to stop and say what follows."""
    with open_database().write() as session:
        status = transitions.request_stop(session, run_id, actor)
    if status is RunStatus.CANCELLED:
        return "Cancelled; it had not started"
    if status is RunStatus.STOPPING:
        return "Stopping at the next step; what was recorded stays"
    found = _status(run_id)
    if found == RunStatus.STOPPING:
        return "Already stopping; it ends after its step"
    return f"Already finished: the run is {found}"


def resume(run_id: str, actor: str) -> str:
    """Queue a run again that failed, was cancelled or was interrupted."""
    with open_database().write() as session:
        queued = transitions.requeue(session, run_id, actor, transitions.USER)
    if not queued:
        return f"Nothing to resume: the run is {_status(run_id)}"
    rung = ring(open_database())
    return "Queued again" if rung else UNHEARD


def delete(run_id: str, actor: str) -> str:
    """Delete an ended run with everything that it recorded.

    Raises:
        UserError: The run has not ended.
    """
    with open_database().write() as session:
        going = transitions.start_deletion(session, run_id, actor)
    status = _status(run_id)
    if not going and status not in ("gone", "deleting"):
        raise UserError(f"Stop it first: the run is {status}")
    reconcile.finish_deletion(open_database(), run_id)
    if _status(run_id) == "deleting":
        return "Going; some of its files are in use, and are tried again by themselves"
    return "Deleted, with its weights, checkpoints and curves"


def sweep() -> bool:
    """Look for lost runs as a worker does, at once where one of this host is; a page calls this.

    A database that does not answer is left to the next look, which then waits for longer. Return
    whether it has looked through all of them.
    """
    global _swept_at
    since = time.monotonic() - _swept_at
    if since < 0:
        return False
    try:
        if since < settings().sweep_seconds and not reconcile.silent_here(open_database()):
            return False
        _swept_at = time.monotonic()
        reconcile.sweep(open_database())
    except AWAY as error:
        _swept_at = time.monotonic() + SPARED
        log.info("%s", error)  # whoever asked goes on to read, and is told
        return False
    return True


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
