"""Who this process is, precisely enough for another to tell whether it still lives."""

import os
import secrets
import socket
import uuid
from functools import cache
from pathlib import Path

from db.writes.transitions import WorkerIdentity
from engine.runtime import find_device
from tasks.processes.lock_domain import ensure_domain
from tasks.settings import settings


@cache
def host_name() -> str:
    return socket.gethostname()


@cache
def boot_id() -> str:
    """Return an id of this boot of this machine: a process id means something only within it."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else f"{uuid.getnode():x}"


def identity() -> WorkerIdentity:
    """Return who this process is, as a worker.

    Raises:
        UserError: The device of the settings is not here.
        OSError: The data directory cannot be written to.
    """
    return _identity(settings().data_dir, settings().device)


@cache
def _identity(data_dir: Path, device: str) -> WorkerIdentity:
    return new_identity(data_dir, device)


def new_identity(data_dir: Path, device: str) -> WorkerIdentity:
    """Return a worker's identity that nobody else has, even of a host or container of this name.

    Raises:
        UserError: The device of the settings is not here.
        OSError: The data directory cannot be written to.
    """
    pid = os.getpid()
    return WorkerIdentity(
        id=f"{host_name()[:80]}-{pid}-{secrets.token_hex(2)}",
        host=host_name(),
        boot_id=boot_id(),
        pid=pid,
        device=find_device(device).device,
        lock_domain=ensure_domain(data_dir),
        data_dir=str(data_dir),
    )
