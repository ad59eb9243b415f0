"""Be a worker: what ``caat worker`` runs.

Celery's consumer, in the main thread, receives messages and commands and hands each run to its pool
of one thread, whose task owns the run. Beside it, threads of ours report and sweep, and look for
runs in the table: whatever becomes of the broker, no run waits for longer than a look at the table,
and none is lost.
"""

import contextlib
import logging
import signal
import socket
import threading
import time
from typing import Any

import celery.worker.state
from celery import bootsteps
from celery.apps.worker import Worker as CeleryWorker
from celery.events import EventDispatcher
from celery.worker.consumer.events import Events

from db.errors import DatabaseError
from db.reads import placement
from db.writes.transitions import WorkerIdentity
from tasks import remote
from tasks.processes.host import identity
from tasks.queue.celery_app import celery_app
from tasks.queue.place import served_queues
from tasks.queue.submit import waiting_of
from tasks.queue_names import at_broker
from tasks.settings import OFTEN, make_data_dir, open_database, prepare_data_dir, settings
from tasks.worker import housekeeping, last_run, slot
from tasks.worker.task import train_run

GRACE = 0.5
"""Seconds in which a message comes to a slot that is free again; later the table is looked at."""
PAUSE = 5.0
"""Seconds between two tries to listen to a broker that answers with nonsense, and for goodbyes."""

log = logging.getLogger(__name__)
_woken, _wakes = socket.socketpair()
for _end in (_woken, _wakes):
    _end.setblocking(False)


class Worker(CeleryWorker):
    """Celery's worker, without its signals: ours are there before it."""

    def install_platform_tweaks(self, worker: Any) -> None:
        """Change nothing."""


class Kept(EventDispatcher):
    """Keeps what is told of runs before the broker answers; Celery's own dispatcher takes it over.

    A run that is found in the table first is else never heard of by Celery's tools.
    """

    def _publish(self, event: Any, producer: Any, routing_key: str, **_: Any) -> None:
        self._outbound_buffer.append((event, routing_key))


_telling = threading.Lock()
"""Held while dispatchers change and while a run of the table starts: no event falls between."""


def _keep_events(consumer: Any) -> None:
    consumer.event_dispatcher = Kept(hostname=consumer.hostname, app=celery_app)
    (events,) = (step for step in consumer.steps if isinstance(step, Events))
    start = events.start

    def alone(consumer: Any) -> None:
        with _telling:
            start(consumer)

    events.start = alone


def _wake() -> None:
    """Have the consumer, whose wait may last a second, ask the broker at once."""
    with contextlib.suppress(BlockingIOError):  # it was told often enough
        _wakes.send(b"\0")


class Woken(bootsteps.StartStopStep):
    """Lets a signal, or a free slot, end the consumer's wait for the broker."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def include_if(self, consumer: Any) -> bool:
        """Tell whether it waits in an event loop."""
        return consumer.hub is not None

    def start(self, consumer: Any) -> None:
        consumer.hub.add_reader(_woken, _woken.recv, 64)


def end() -> None:
    """Let this worker end: its run stops at its next step and is queued again."""
    housekeeping.draining.set()
    celery.worker.state.should_stop = 0


def work(*, until_empty: bool = False) -> None:
    """Serve runs until SIGTERM; a run in work is then stopped at its next step and queued again.

    Args:
        until_empty: Whether it also ends once nothing has waited for it for a while.

    Raises:
        UserError: The device is not here.
        DatabaseError: The database did not answer.
    """
    open_database()
    make_data_dir()  # the embedded broker's socket is there
    prepare_data_dir(thorough=True)
    signal.set_wakeup_fd(_wakes.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):  # before any run is taken
        signal.signal(number, lambda *_: end())
    me = identity()  # before there are threads: it is made once, and is one
    presence = train_run.presence
    presence.attempt(presence.report)  # what it may take is read from its row
    beside = threading.Thread(target=presence.report_and_sweep, name="housekeeping", daemon=True)
    beside.start()
    remote.narrow()
    celery_app.steps["consumer"].update((slot.OneAtATime, Woken))
    if until_empty:
        threading.Thread(
            target=last_run.end_when_empty, args=(end,), name="last", daemon=True
        ).start()
    _serve(me, presence)
    housekeeping.done.set()
    beside.join(PAUSE)


def _serve(me: WorkerIdentity, presence: housekeeping.Presence) -> None:
    """Receive messages; Celery itself goes on through a broker that is merely away."""
    queues = celery_app.conf.task_queues = {at_broker(q): {} for q in served_queues(me.device)}
    while not housekeeping.draining.is_set():
        worker = Worker(
            app=celery_app,
            hostname=f"{me.id}@{me.host}",
            queues=list(queues),
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            task_events=True,
        )
        _keep_events(worker.consumer)
        worker.consumer.update_strategies()  # else only once the broker answers
        over = threading.Event()
        look = (worker.consumer, presence, over)
        threading.Thread(target=_look_at_table, args=look, name="table", daemon=True).start()
        worker.start()
        over.set()
        if worker.exitcode == 0:  # asked to end, by a signal or a command
            end()
        elif not housekeeping.draining.is_set():
            log.warning("The broker cannot be used as it is; runs are found in the database")
            time.sleep(PAUSE)


def _look_at_table(consumer: Any, presence: housekeeping.Presence, over: threading.Event) -> None:
    """Take runs from the table: now and then, and while the broker is away one after the other."""
    while not (over.is_set() or housekeeping.draining.is_set()):
        try:
            take_next(consumer)
        except DatabaseError as error:
            presence.complain(error)
        except Exception:
            log.exception("No run could be taken from the table; it is tried again")
        if slot.freed.wait(settings().sweep_seconds):
            slot.freed.clear()
            _wake()
            if consumer.connection is not None and consumer.connection.connected:
                over.wait(GRACE)  # the next run's message comes by itself, or it was lost


def take_next(consumer: Any) -> None:
    """Offer the runs that may be taken, the next one first, to the slot, until it has one."""
    if not slot.is_free():
        return
    with open_database(within=OFTEN).read() as session:
        found = placement.claimable(session, identity().id)
    for ticket in found:
        with _telling:
            if not slot.offer(waiting_of(ticket), consumer):
                return
            slot.decided.wait()
        if not slot.is_free():
            return
