"""The one place for a run in a worker, shared by the broker's messages and the look at the table.

A message is received by Celery's consumer, in its thread. It says that something waits; which run
is next for this worker says the table. If that is another one, it is taken in the message's place,
and the message goes back to its queue. While the broker is away, or when a message was lost, a run
is found in the table alone, and handed to Celery as if its message had come. Either way Celery's
own pool executes the task, so that its tools see it.
"""

import base64
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.concurrency.thread import TaskPool
from celery.worker.strategy import default
from kombu.message import Message

from db.errors import DatabaseError
from db.reads.placement import next_ticket, waits
from tasks.processes.host import identity
from tasks.queue.celery_app import celery_app
from tasks.queue.message import TASK, run_of
from tasks.queue.messages import Waiting
from tasks.queue.submit import waiting_of
from tasks.settings import open_database
from tasks.worker import housekeeping

log = logging.getLogger(__name__)
_lock = threading.Lock()
_is_taken = False
_has_run = False
_was_late = False
freed = threading.Event()
"""Set when a run has left the slot."""
decided = threading.Event()
"""Set when it is known of a task whether it has its run."""


def is_free() -> bool:
    """Tell whether nothing is in the slot, and something may be."""
    return not _is_taken and not housekeeping.draining.is_set()


def claimed() -> None:
    """Note that the task in the slot has its run."""
    global _has_run, _was_late
    _has_run, _was_late = True, False
    decided.set()


def late() -> None:
    """Note that another worker has the run of the task in the slot."""
    global _was_late
    _was_late = True


def _enter(take: Callable[[], None]) -> bool:
    global _is_taken
    with _lock:
        if not is_free():
            return False
        _is_taken = True
        decided.clear()
    try:
        take()
    except BaseException:
        _leave()
        raise
    return True


def _leave() -> None:
    global _is_taken, _has_run
    with _lock:
        had_run, _is_taken, _has_run = _has_run, False, False
    decided.set()
    if had_run:
        freed.set()


class Pool(TaskPool):
    """Celery's pool of threads, here of one; when a task is over, however it ended, the slot is."""

    def on_apply(self, *given: Any, **named: Any) -> Any:
        """Execute a task."""
        result = super().on_apply(*given, **named)
        result.f.add_done_callback(lambda _: _leave())
        return result


def strategy(task: Any, app: Any, consumer: Any) -> Callable[..., None]:
    """Return what Celery's consumer does with a message: have its turn looked up, or give it back.

    The database is asked in a thread of its own: Celery's tools are answered meanwhile.
    """
    receive = default(task, app, consumer)

    def offered(entry: Message, *given: Any) -> None:
        _body, _ack, reject, _callbacks = given

        def give_back(*, requeue: bool) -> None:
            reject(log, consumer.connection_errors, requeue=requeue)

        def decide() -> None:
            _in_turn(
                entry.headers["id"],
                take=lambda: receive(entry, *given),
                take_other=lambda other: receive(_as_received(other), *_NO_MESSAGE),
                give_back=give_back,
            )

        if not _enter(threading.Thread(target=decide, name="turn", daemon=True).start):
            give_back(requeue=True)

    return offered


def _in_turn(
    task: str,
    *,
    take: Callable[[], None],
    take_other: Callable[[Waiting], None],
    give_back: Callable[..., None],
) -> None:
    """Put the run that is next into the slot, which is taken: a message's own, or another one."""
    try:
        run_id, times_queued = run_of(task)
        try:
            with open_database().read() as session:
                if not waits(session, run_id, times_queued):
                    return take()  # which tells Celery's tools what became of it
                me = identity().id
                next_one = next_ticket(session, me, offered=run_id, was_late=_was_late)
        except DatabaseError:
            return take()  # which says so, and ends
        if next_one is None:  # its message is sent again while it waits
            give_back(requeue=False)
        elif next_one.run_id == run_id:
            return take()
        else:
            give_back(requeue=True)
            return take_other(waiting_of(next_one))
    except Exception:
        log.exception("No run could be taken; its message is sent again")
    return _leave()


def offer(waiting: Waiting, consumer: Any) -> bool:
    """Hand a run that was found in the table to Celery, if the slot is free."""
    receive = default(celery_app.tasks[TASK], celery_app, consumer)
    return _enter(lambda: receive(_as_received(waiting), *_NO_MESSAGE))


def _as_received(waiting: Waiting) -> Message:
    told = json.loads(waiting.entry)
    return Message(
        body=base64.b64decode(told["body"]),
        headers=told["headers"],
        properties=told["properties"],
        delivery_info=told["properties"]["delivery_info"],
        content_type=told["content-type"],
        content_encoding=told["content-encoding"],
    )


def _nothing(*_: Any, **__: Any) -> None:
    """Acknowledge a message that never came."""


_NO_MESSAGE = (None, _nothing, _nothing, None)


class OneAtATime(bootsteps.StartStopStep):
    """Lets the consumer ask the broker for nothing while the slot is taken."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        qos = consumer.task_consumer.channel.qos
        may_consume = qos.can_consume
        qos.can_consume = lambda: is_free() and may_consume()
