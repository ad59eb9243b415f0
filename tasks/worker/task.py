"""The Celery task: a run, from the claim to its end."""

import threading
from typing import Any, NoReturn

from celery import Task
from celery.exceptions import Ignore
from celery.worker.state import requests

from db.errors import DatabaseError
from db.models import DEFAULT_QUEUE, RunStatus
from db.reads import queries
from tasks.queue.celery_app import celery_app
from tasks.queue.message import TASK, run_of
from tasks.queue.messages import Waiting, withdraw
from tasks.queue_names import from_broker
from tasks.settings import open_database
from tasks.worker import housekeeping, slot
from tasks.worker.supervise import run_attempt


class RunFailedError(Exception):
    """The run failed; the text is what its page says."""


class TrainRun(Task):
    """Owns a run for as long as this worker has it.

    The database decides whether it is to be had at all: a message that comes twice, or late, finds
    nothing. What Celery's tools show in the end is what became of the run.
    """

    name = TASK
    Strategy = "tasks.worker.slot:strategy"
    throws = (RunFailedError,)
    presence = housekeeping.Presence()
    """What this worker says of itself."""

    def run(self, run_id: str) -> None:
        """See a run through.

        Raises:
            RunFailedError: It failed.
            Ignore: It was stopped, was not to be had, or goes on elsewhere; events say which.
        """
        task, presence = self.request.id, self.presence
        _, times_queued = run_of(task)
        queue = from_broker(self.request.delivery_info["routing_key"]) or DEFAULT_QUEUE
        place = Waiting(task, queue)

        def claimed(run_id: str) -> None:
            """Note the run, and take away its message, at a broker that may take its time."""
            presence.run_id = run_id
            slot.claimed()
            threading.Thread(target=withdraw, args=(place,), name="withdraw", daemon=True).start()

        try:
            if not run_attempt(
                open_database(),
                run_id,
                times_queued=times_queued,
                draining=housekeeping.draining.is_set,
                claimed=claimed,
            ):
                self._not_ours()
            self._tell_how_it_ended(run_id)
        except DatabaseError as error:
            presence.complain(error)
            self._not_ours()
        finally:
            presence.run_id = None

    def _tell_how_it_ended(self, run_id: str) -> None:
        with open_database().read() as session:
            run = queries.get_run(session, run_id)
        if run is None or run.status is RunStatus.CANCELLED:
            self._send("task-revoked", terminated=True, signum=None, expired=False)
            raise Ignore("it was stopped")
        if run.status is RunStatus.FAILED:
            raise RunFailedError(run.message)
        if run.status is not RunStatus.SUCCEEDED:
            self._not_ours()

    def _not_ours(self) -> NoReturn:
        self._send("task-rejected")
        raise Ignore("it waits no longer, or goes on elsewhere")

    def _send(self, event: str, **fields: Any) -> None:
        """Tell who listens; the worker's own dispatcher keeps it while the broker is away."""
        received = requests.get(self.request.id)
        if received is not None:
            received.send_event(event, **fields)


train_run = celery_app.register_task(TrainRun())
