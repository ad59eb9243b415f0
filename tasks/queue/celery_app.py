"""The Celery object. A message holds a run's id and nothing else; the database is the queue."""

from typing import IO, Any, NoReturn

import click
from celery import Celery

from db.errors import SettingsError
from db.models import DEFAULT_QUEUE
from tasks.processes.secrecy import hide_in_logs
from tasks.queue import transport
from tasks.queue.messages import PREFIX
from tasks.queue_names import at_broker
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


def _refuse(**_: Any) -> NoReturn:
    raise SettingsMistake("a worker is more than Celery's part of it: start it by `caat worker`")


celery_app = Celery("caat", include=["tasks.worker.task"])
celery_app.Worker = _refuse
celery_app.add_defaults(_broker)
celery_app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # A message that comes again, after the visibility timeout or the end of its worker, finds no
    # queued row; one that is lost is sent again from the database.
    task_acks_late=True,
    task_acks_on_failure_or_timeout=True,
    task_reject_on_worker_lost=False,
    task_ignore_result=True,
    result_backend=None,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue=at_broker(DEFAULT_QUEUE),
    task_create_missing_queues=False,
    task_queues={at_broker(DEFAULT_QUEUE): {}},
    # The task supervises a run's trainer, which is a process of its own (see `worker.task`).
    worker_pool="tasks.worker.slot:Pool",
    worker_concurrency=1,
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,  # no message waits behind a ten-hour run
    worker_send_task_events=True,
    worker_enable_remote_control=True,  # as much of it as `tasks.remote` leaves
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_enable_prefetch_count_reduction=False,
    worker_hijack_root_logger=False,
    broker_transport_options={
        "visibility_timeout": 3600,
        "priority_steps": [0],
        # Who sends waits this long at most: the run is queued, and its message is sent again.
        "socket_connect_timeout": 2,
        "socket_timeout": 5,  # a broker that says nothing holds nobody up for longer
        "max_retries": 1,
        "interval_start": 0.1,
        "interval_step": 0,
        "global_keyprefix": PREFIX,
    },
)
