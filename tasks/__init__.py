"""Runs as work: submit, claim, supervise, record. The only place where engine and database meet."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Give Celery's commands the app under the name that they look for: ``celery -A tasks``."""
    if name != "celery":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tasks.queue.celery_app import celery_app  # loaded here: nothing else needs it

    return celery_app
