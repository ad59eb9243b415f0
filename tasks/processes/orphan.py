"""A child that does not outlive its parent.

``python -m tasks.processes.orphan PARENT COMMAND...`` runs any command that way.
"""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """End this process as soon as the process ``parent`` is gone, even by kill -9.

    On Linux the kernel sees to it (and still does after an exec); elsewhere a thread looks twice
    a second.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def command(*words: str) -> list[str]:
    """Return the command line of a child of this process that ends with it."""
    return [sys.executable, "-m", "tasks.processes.orphan", str(os.getpid()), *words]


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
