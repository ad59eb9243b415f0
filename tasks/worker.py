"""What surrounds the task in a worker process: its row, and its sweeps."""

import logging
import threading
from importlib.metadata import version

from celery import signals

from db import transitions
from db.errors import DatabaseError
from db.transitions import WorkerReport
from engine.runtime import device_name, pick_device
from tasks.host import identity
from tasks.reconcile import sweep
from tasks.settings import open_database, settings

log = logging.getLogger(__name__)

draining = threading.Event()
"""Set once the worker was asked to end; its run then stops at the next step."""
_done = threading.Event()


class Presence:
    """What this worker does, as its row shows it."""

    run_id: str | None = None


def report() -> None:
    """Say in the worker's row that it is here, and what it does."""
    me = identity()
    with open_database().write() as session:
        transitions.upsert_worker(
            session,
            WorkerReport(
                id=me.id,
                host=me.host,
                pid=me.pid,
                device=me.device,
                device_name=device_name(pick_device(me.device)),
                version=version("caat-studio"),
                state="busy" if Presence.run_id else "idle",
                run_id=Presence.run_id,
            ),
        )


def _keep_house() -> None:
    """Report and sweep until the worker ends, whatever the database does meanwhile."""
    while True:
        try:
            report()
            sweep(open_database())
        except DatabaseError as error:
            log.warning("%s; trying again", error)
        if _done.wait(settings().sweep_seconds):
            return


@signals.worker_ready.connect
def _start(**_: object) -> None:
    threading.Thread(target=_keep_house, name="housekeeper", daemon=True).start()


@signals.worker_shutting_down.connect
def _drain(**_: object) -> None:
    draining.set()


@signals.worker_shutdown.connect
def _leave(**_: object) -> None:
    _done.set()
    try:
        with open_database().write() as session:
            transitions.worker_stopped(session, identity().id)
    except DatabaseError as error:
        log.warning("%s", error)
