"""The Celery object. A message holds a run's id and nothing else; the database is the queue."""

from typing import IO, Any

import click
from celery import Celery

from db.errors import SettingsError
from tasks.processes.secrecy import hide_in_logs
from tasks.queue import transport
from tasks.queue.messages import PREFIX, QUEUE
from tasks.settings import settings

transport.install()


class SettingsMistake(click.ClickException):
    """A mistake in the settings, as Celery's own commands tell one: in a line, with code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"caat: {self.message}", file=file, err=file is None)


def _broker() -> dict[str, Any]:
    """Return where the broker is, when it is needed first: settings are read by no import."""
    try:
        hide_in_logs()
        return {"broker_url": settings().broker_url}
    except SettingsError as error:
        raise SettingsMistake(str(error)) from None


celery_app = Celery("caat", include=["tasks.queue.task"])
celery_app.add_defaults(_broker)
celery_app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Early acknowledgement: a lost message is sent again from the database, and a message that is
    # delivered twice finds no queued row.
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    task_ignore_result=True,
    result_backend=None,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue=QUEUE,
    task_create_missing_queues=False,
    task_queues={QUEUE: {}},
    # Solo: the task only wakes the worker's main thread, which supervises (see `worker.serve`).
    worker_pool="solo",
    worker_concurrency=1,
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,  # no message waits behind a ten-hour run
    worker_send_task_events=False,
    # Who reaches the broker could end every worker by it; `caat` needs none of it.
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    broker_transport_options={
        "ack_emulation": False,  # nothing is kept in the broker that could be redelivered
        "priority_steps": [0],
        # Who sends waits this long at most: the run is queued, and its message is sent again.
        "socket_connect_timeout": 2,
        "max_retries": 1,
        "interval_start": 0.1,
        "interval_step": 0,
        "global_keyprefix": PREFIX,
    },
)
