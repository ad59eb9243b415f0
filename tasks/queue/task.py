"""The Celery task: a bell. Which run is taken, and by whom, the database decides."""

import queue

from tasks.queue.celery_app import celery_app
from tasks.queue.messages import TASK

bells: "queue.Queue[str]" = queue.Queue()
"""What rang in this worker and has not been looked after yet."""


@celery_app.task(name=TASK)
def train_run(run_id: str) -> None:
    """Wake this worker; return once it is idle again, so that it hears no bell meant for others."""
    bells.put(run_id)
    bells.join()
