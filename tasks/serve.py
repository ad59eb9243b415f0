"""Be a worker: what ``caat worker`` runs."""

from engine.errors import UserError
from tasks.celery_app import celery_app
from tasks.host import identity
from tasks.settings import open_database, settings


def work() -> None:
    """Serve runs until SIGTERM; a run in work is then stopped at its next step and queued again.

    Raises:
        UserError: The device is not here.
        DatabaseError: The database did not answer.
    """
    open_database()
    if settings().uses_embedded_broker:
        settings().data_dir.mkdir(parents=True, exist_ok=True)
    me = identity()
    try:
        celery_app.worker_main(
            [
                "worker",
                f"--hostname={me.id}@%h",
                "--queues=caat",
                "--loglevel=WARNING",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
            ]
        )
    except SystemExit as end:
        if end.code:
            raise UserError(f"the worker could not start (Celery's exit code {end.code})") from end
