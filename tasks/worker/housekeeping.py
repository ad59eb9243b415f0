"""What surrounds the runs of a worker process: its row, and its sweeps."""

import logging
import threading
import time
from collections.abc import Callable
from importlib.metadata import version

from db import workers
from db.errors import DatabaseError, SchemaNewerError
from db.reads.placement import joined
from engine.data.datasets.base import datasets
from engine.runtime import find_device
from tasks.processes.host import host_name, identity
from tasks.queue.place import served_queues
from tasks.settings import OFTEN, open_database, settings
from tasks.worker.gauge import Gauge
from tasks.worker.leftover_files import OLD_SECONDS, delete_leftover_files
from tasks.worker.reconcile import lost, sweep
from tasks.worker.spare import spare

LOST_CHECK_SECONDS = 0.5
"""Seconds between two looks at who holds runs."""
THOROUGH_EVERY = 12
"""Sweeps, of which one looks for messages that nobody waits for although no run waits."""
log = logging.getLogger(__name__)

draining = threading.Event()
"""Set once the worker was asked to end; its run then stops at the next step."""
done = threading.Event()
"""Set once nothing more is done here."""


class Presence:
    """That a worker is here, and what it does, as its row shows it.

    Attributes:
        run_id: The run that it holds.
    """

    def __init__(self) -> None:
        self.run_id: str | None = None
        self._is_any_at_work = True  # anywhere, as far as is known
        self._num_sweeps = 0
        self._gauge = Gauge()
        self._complaint: str | None = None  # said last of a database that cannot be used

    def report(self) -> None:
        """Say in the row that it is here, and what it does, even if it is too old to work."""
        me, folder = identity(), settings().dataset_dir
        here = [name for name, source in datasets().items() if source.is_here(folder)]
        found = find_device(me.device)
        use = self._gauge.read(found)
        with open_database(newer=True).write() as session:
            workers.upsert_worker(
                session,
                workers.WorkerReport(
                    id=me.id,
                    host=me.host,
                    pid=me.pid,
                    device=me.device,
                    device_name=found.name,
                    version=version("caat-studio"),
                    state="busy" if self.run_id else "idle",
                    run_id=self.run_id,
                    queues=joined(served_queues(me.device)),
                    datasets=joined(here),
                    memory_total=use.memory_total,
                    memory_used=use.memory_used,
                    utilisation=use.utilisation,
                ),
            )

    def complain(self, error: DatabaseError) -> None:
        """Say why nothing can be done now; the same is not said again and again."""
        text = f"{error}; trying again"
        if isinstance(error, SchemaNewerError):
            text = workers.too_old(host_name(), error.head, error.revision)
        if text != self._complaint:
            log.warning("%s", text)
        self._complaint = text

    def report_and_sweep(self) -> None:
        """Report and sweep until `done`, whatever the database does meanwhile; then take leave."""
        leftovers_at = time.monotonic()
        while not done.is_set():
            self.attempt(self.report)
            self.attempt(self._sweep)
            if time.monotonic() >= leftovers_at:
                leftovers_at += OLD_SECONDS
                self.attempt(lambda: delete_leftover_files(open_database()))
            self._rest(time.monotonic() + settings().sweep_seconds)
        spare.close()
        self.attempt(_leave)

    def _sweep(self) -> None:
        self._num_sweeps += 1
        thorough = self._num_sweeps % THOROUGH_EVERY == 1
        # While nothing is at work the sweep most likely only reads.
        database = open_database(within=0.0 if self._is_any_at_work else OFTEN)
        self._is_any_at_work = sweep(database, thorough=thorough)

    def _rest(self, until: float) -> None:
        """Wait until then, or until a run that is at work has lost its worker."""
        pause = min(LOST_CHECK_SECONDS, settings().sweep_seconds)
        while time.monotonic() < until and not done.wait(pause):
            spare.keep()
            try:
                if (self._is_any_at_work or self.run_id) and lost(open_database(within=OFTEN)):
                    return
            except DatabaseError as error:
                self.complain(error)

    def attempt(self, act: Callable[[], object]) -> None:
        """Do something that may fail for now; then say so and go on."""
        try:
            act()
            self._complaint = None
        except DatabaseError as error:
            self.complain(error)
        except OSError as error:
            log.warning("%s; trying again", error)


def _leave() -> None:
    with open_database(newer=True).write() as session:
        workers.worker_stopped(session, identity().id)
