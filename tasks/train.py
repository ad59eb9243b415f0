"""The Celery task: one bell, one claim, one supervised trainer."""

from tasks import worker
from tasks.celery_app import celery_app
from tasks.settings import open_database
from tasks.supervise import run_attempt


@celery_app.task(name="tasks.train.train_run")
def train_run(run_id: str) -> None:
    """Claim one queued run and see it through; a second delivery finds nothing to claim."""
    worker.Presence.run_id = run_id
    try:
        run_attempt(open_database(), run_id, draining=worker.draining.is_set)
    finally:
        worker.Presence.run_id = None
