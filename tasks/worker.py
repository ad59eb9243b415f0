"""What surrounds the runs of a worker process: its row, and its sweeps."""

import logging
import threading
from collections.abc import Callable
from importlib.metadata import version

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
done = threading.Event()
"""Set once nothing more is done here."""


class Presence:
    """What this worker does, as its row shows it."""

    run_id: str | None = None

    @classmethod
    def holds(cls, run_id: str) -> None:
        cls.run_id = run_id


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


def keep_house() -> None:
    """Report and sweep until `done`, whatever the database does meanwhile; then take leave."""
    while not done.is_set():
        _patiently(report)
        _patiently(lambda: sweep(open_database()))
        done.wait(settings().sweep_seconds)
    _patiently(_leave)


def _patiently(act: Callable[[], None]) -> None:
    try:
        act()
    except DatabaseError as error:
        log.warning("%s; trying again", error)


def _leave() -> None:
    with open_database().write() as session:
        transitions.worker_stopped(session, identity().id)
