"""Who this process is, precisely enough for another to tell whether it still lives."""

import os
import secrets
import socket
import uuid
from functools import cache
from pathlib import Path

from db.transitions import WorkerIdentity
from engine.runtime import pick_device
from tasks.lock_domain import made
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

    Its id is its own even where two hosts, or containers, have the same name.

    Raises:
        UserError: The device of the settings is not here.
        OSError: The data directory cannot be written to.
    """
    pid, data_dir = os.getpid(), settings().data_dir
    return WorkerIdentity(
        id=f"{host_name()[:80]}-{pid}-{secrets.token_hex(2)}",
        host=host_name(),
        boot_id=boot_id(),
        pid=pid,
        device=str(pick_device(settings().device)),
        lock_domain=made(data_dir),
        data_dir=str(data_dir),
    )
