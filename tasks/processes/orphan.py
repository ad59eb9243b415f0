"""A child that does not outlive its parent.

``python -m tasks.processes.orphan PARENT SIGNAL COMMAND...`` runs any command that way.
"""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """End this process as soon as the process ``parent`` is gone, even by kill -9.

    On Linux the kernel sees to it (and still does after an exec), by any signal; elsewhere a thread
    looks twice a second.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, by)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def command(*words: str, by: signal.Signals = signal.SIGKILL) -> list[str]:
    """Return the command line of a child of this process that ends with it, by a signal."""
    mine = [str(os.getpid()), str(by.value)]
    return [sys.executable, "-m", "tasks.processes.orphan", *mine, *words]


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), signal.Signals(int(sys.argv[2])))
    os.execvp(sys.argv[3], sys.argv[3:])
