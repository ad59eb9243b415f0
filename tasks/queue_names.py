"""What queues are called: by people, and at the broker."""

import re

from db.status import DEFAULT_QUEUE
from engine.errors import UserError

ALLOWED = "a to z, 0 to 9 and single dashes between them, at most 40"
_NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,39}")
_LONGEST = 40
_AT_BROKER = "caat"
"""The default queue's name there; every other begins so."""


def is_queue(name: str) -> bool:
    """Tell whether a text can be the name of a queue."""
    return len(name) <= _LONGEST and _NAME.fullmatch(name) is not None


def at_broker(queue: str) -> str:
    """Return what Celery calls a queue."""
    return _AT_BROKER if queue == DEFAULT_QUEUE else f"{_AT_BROKER}.{queue}"


def from_broker(name: str) -> str | None:
    """Return the queue that Celery calls so; None: it is none of ours."""
    if name == _AT_BROKER:
        return DEFAULT_QUEUE
    before, dot, queue = name.partition(".")
    is_ours = before == _AT_BROKER and dot and queue != DEFAULT_QUEUE and is_queue(queue)
    return queue if is_ours else None


def parse_queues(text: str) -> tuple[str, ...]:
    """Return the queues of a list with commas, each once; none of an empty text.

    Raises:
        UserError: Something in it cannot be a queue's name.
    """
    if not text.strip():
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if not is_queue(name):
            raise UserError(f"queues: {name!r} cannot be a queue's name; allowed: {ALLOWED}")
    return names
