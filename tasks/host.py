"""Who this process is, precisely enough for another to tell whether it still lives."""

import os
import socket
import uuid
from functools import cache
from pathlib import Path

from db.transitions import WorkerIdentity
from engine.runtime import pick_device
from tasks.settings import settings


@cache
def host_name() -> str:
    return socket.gethostname()


@cache
def boot_id() -> str:
    """Return an id of this boot of this machine: a process id means something only within it."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else f"{uuid.getnode():x}"


@cache
def identity() -> WorkerIdentity:
    """Return who this process is, as a worker.

    Raises:
        UserError: The device of the settings is not here.
    """
    device = str(pick_device(settings().device))
    pid = os.getpid()
    return WorkerIdentity(f"{host_name()}-{pid}", host_name(), boot_id(), pid, device)
