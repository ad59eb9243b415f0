"""Be a worker: what ``caat worker`` runs.

The main thread takes runs from the table and sees them through, so that the kernel ends a trainer
with it and a SIGTERM is noticed while a run is on. Celery only listens, in a thread of its own:
whatever becomes of the broker, no run waits for longer than a look at the table, and none is lost.
"""

import contextlib
import logging
import queue
import signal
import threading
import time

from db.errors import DatabaseError
from db.reads import queries
from tasks.processes.host import identity
from tasks.queue.celery_app import celery_app
from tasks.queue.messages import QUEUE, withdraw
from tasks.queue.task import received
from tasks.settings import make_data_dir, open_database, prepare_data_dir, settings
from tasks.worker import housekeeping
from tasks.worker.supervise import run_attempt

TICK = 0.1
PAUSE = 5.0
"""Seconds between two tries to listen to a broker that answers with nonsense, and for goodbyes."""

log = logging.getLogger(__name__)


def work() -> None:
    """Serve runs until SIGTERM; a run in work is then stopped at its next step and queued again.

    Raises:
        UserError: The device is not here.
        DatabaseError: The database did not answer.
    """
    open_database()
    make_data_dir()  # the embedded broker's socket is there
    prepare_data_dir(thorough=True)
    me = identity()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: housekeeping.draining.set())
    presence = housekeeping.Presence()
    beside = threading.Thread(target=presence.report_and_sweep, name="housekeeping", daemon=True)
    beside.start()
    name = f"{me.id}@{me.host}"
    threading.Thread(target=_listen, args=(name,), name="listener", daemon=True).start()
    _take_runs(presence)
    housekeeping.done.set()
    beside.join(PAUSE)


def _listen(name: str) -> None:
    """Receive messages; Celery itself goes on through a broker that is merely away."""
    while True:
        with contextlib.suppress(SystemExit):  # it tells its reason to the log
            celery_app.Worker(
                hostname=name,
                queues=QUEUE,
                loglevel="WARNING",
                quiet=True,
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
            ).start()
        log.warning("The broker cannot be used as it is; runs are found in the database")
        time.sleep(PAUSE)


def _take_runs(presence: housekeeping.Presence) -> None:
    """Take one run after the other, at a message or at the next look at the table."""
    look_at = 0.0
    while not housekeeping.draining.is_set():
        is_woken = _wait_for_message()
        if is_woken or time.monotonic() >= look_at:
            pause = 0.0 if take_next(presence) else settings().sweep_seconds
            look_at = time.monotonic() + pause
        if is_woken:
            received.task_done()


def _wait_for_message() -> bool:
    try:
        received.get(timeout=TICK)
    except queue.Empty:
        return False
    return True


def take_next(presence: housekeeping.Presence) -> bool:
    """See the oldest queued run through that can be had; False if there is none."""

    def claimed(run_id: str) -> None:
        """Note the run, and take away its message, at a broker that may take its time."""
        presence.run_id = run_id
        threading.Thread(target=withdraw, args=(run_id,), name="withdraw", daemon=True).start()

    try:
        database = open_database()
        with database.read() as session:
            waiting = queries.claimable(session)
        return any(
            run_attempt(database, run_id, draining=housekeeping.draining.is_set, claimed=claimed)
            for run_id in waiting
        )
    except DatabaseError as error:
        presence.complain(error)
    except Exception:
        log.exception("A run could not be seen through; its row says so soon")
    finally:
        presence.run_id = None
    return False
