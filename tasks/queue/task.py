"""The Celery task wakes a worker. Which run is taken, and by whom, the database decides."""

import queue

from tasks.queue.celery_app import celery_app
from tasks.queue.messages import TASK

received: "queue.Queue[str]" = queue.Queue()
"""The runs of messages that this worker has received and not acted upon yet."""


@celery_app.task(name=TASK)
def train_run(run_id: str) -> None:
    """Wake this worker; return once it is idle again: until then others get the messages."""
    received.put(run_id)
    received.join()
