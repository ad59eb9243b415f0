"""A lock that the kernel frees the moment its holder is gone, however it went."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.modes import opener
from tasks.folder import make

NAME = "attempt.lock"


@contextmanager
def held(folder: Path, *, timeout: float = 0) -> Iterator[bool]:
    """Hold a run's lock for a block; False says that another process of this host has it.

    flock, not lockf: it belongs to this open file, so looking at it elsewhere in the same process
    neither passes nor frees it, and a trainer does not inherit it.
    """
    make(folder)
    handle = opener(str(folder / NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        yield _taken(handle, time.monotonic() + timeout)
    finally:
        os.close(handle)


def _taken(handle: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def is_held(folder: Path) -> bool:
    """Tell whether a process of this host holds a run's lock; nothing is made or written.

    Raises:
        OSError: The lock is not there, or may not be looked at: it says nothing.
    """
    handle = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Shared: two that look at once do not take each other for the holder.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
