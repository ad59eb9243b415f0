"""The Celery task: a run, from the claim to its end."""

import threading
from typing import Any, NoReturn

from celery import Task
from celery.exceptions import Ignore
from celery.worker.state import requests

from db.errors import DatabaseError
from db.models import DEFAULT_QUEUE, RunStatus
from db.reads import placement, queries
from tasks.queue.celery_app import celery_app
from tasks.queue.message import TASK, run_of
from tasks.queue.messages import Waiting, withdraw
from tasks.queue_names import from_broker
from tasks.settings import open_database
from tasks.worker import housekeeping, slot
from tasks.worker.supervise import run_attempt

GOES_ON = "It was interrupted, and goes on under its next id"


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
        queue = from_broker(str(self.request.delivery_info.get("routing_key"))) or DEFAULT_QUEUE
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
                self._not_ours(run_id, times_queued)
            self._tell_how_it_ended(run_id)
        except DatabaseError as error:
            presence.complain(error)
            self._end("task-rejected", "the database does not say whether it is to be had")
        finally:
            presence.run_id = None

    def _tell_how_it_ended(self, run_id: str) -> None:
        with open_database().read() as session:
            run = queries.get_run(session, run_id)
        if run is None or run.status is RunStatus.CANCELLED:
            self._end("task-revoked", "it was stopped", terminated=True)
        if run.status is RunStatus.FAILED:
            raise RunFailedError(run.message)
        if run.status is not RunStatus.SUCCEEDED:
            self._end("task-retried", "it goes on elsewhere", exception=GOES_ON)

    def _not_ours(self, run_id: str, times_queued: int) -> NoReturn:
        """End what was not to be had: revoked if nobody shall have it, else another has it."""
        with open_database().read() as session:
            run = queries.get_run(session, run_id)
            now = [ticket.times_queued for ticket in placement.tickets(session, [run_id])]
        if run is None or run.status is RunStatus.CANCELLED or now != [times_queued]:
            self._end("task-revoked", "it waits no longer", terminated=False)
        slot.late()
        self._end("task-rejected", "another has it")

    def _end(self, event: str, why: str, **fields: Any) -> NoReturn:
        """Tell who listens; the worker's own dispatcher keeps it while the broker is away."""
        received = requests.get(self.request.id)
        if received is not None:
            received.send_event(event, **fields)
        raise Ignore(why)


train_run = celery_app.register_task(TrainRun())
