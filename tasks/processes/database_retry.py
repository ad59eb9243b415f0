"""Waiting for a database that is away for a moment."""

import time
from collections.abc import Callable
from typing import TypeVar

from db.errors import DatabaseBusyError, DatabaseUnreachableError

TRANSIENT_ERRORS = (DatabaseBusyError, DatabaseUnreachableError)
"""What passes by itself: someone holds the lock, or the server starts again."""
PAUSE_SECONDS = 1.0

T = TypeVar("T")


def retry_transient(act: Callable[[], T], seconds: float) -> T:
    """Do what may be done twice, again and again until the database answers.

    Raises:
        DatabaseError: It did not answer for so many seconds, or it cannot be used at all.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except TRANSIENT_ERRORS:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)
