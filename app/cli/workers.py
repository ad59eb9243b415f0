"""``caat worker --devices``: a worker for each of several devices, each a process of its own."""

import re
import signal
import sys
import threading
from collections.abc import Sequence

import typer

from app.cli.processes import GRACE, Child
from app.cli.terminal import say
from app.text.format import count
from engine.errors import UserError
from engine.runtime import cuda_devices
from tasks.settings import settings

MAX_WORKERS = 64
_CUDA = re.compile(r"cuda(?::(\d{1,3}))?")
_ALLOWED = "write all, or cpu and cuda:N with commas between them"


def named(devices: str) -> list[str]:
    """Return the devices that a list names, one for each worker; a name twice is two workers.

    Raises:
        UserError: It is no such list, or one of them is not here.
    """
    names = [name.strip() for name in devices.split(",")]
    if names == ["all"]:
        names = cuda_devices() or ["cpu"]
    if len(names) > MAX_WORKERS:
        raise UserError(f"--devices: {len(names)} workers; at most {MAX_WORKERS} are started")
    here = cuda_devices() if any(map(_CUDA.fullmatch, names)) else []
    return [_checked(name, here) for name in names]


def _checked(name: str, here: Sequence[str]) -> str:
    if name == "cpu":
        return name
    found = _CUDA.fullmatch(name)
    if found is None:
        raise UserError(f"--devices: {name!r} is no device; {_ALLOWED}")
    device = f"cuda:{int(found[1] or 0)}"
    if device not in here:
        seen = f"CUDA devices here: {', '.join(here)}" if here else "there is no CUDA device"
        raise UserError(f"--devices: {device} is not here; {seen}")
    return device


def serve(devices: Sequence[str], *, options: Sequence[str]) -> None:
    """Keep a worker on each device until SIGTERM or Ctrl-C, which each of them gets once.

    A worker that was itself told to end, as by Celery's ``control shutdown``, stays away.

    Args:
        devices: Theirs.
        options: What each of them is started with beside its device.
    """
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    grace = settings().stop_grace_seconds + GRACE
    children = [_worker(device, options) for device in devices]
    say(f"caat: {count(len(children), 'worker')}, on {', '.join(devices)}", err=True)
    try:
        for child in children:
            child.start()
        while children and not asked.wait(0.5):
            children = [child for child in children if not _has_left(child)]
            for child in children:
                child.keep_alive()
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(grace)


def _worker(device: str, options: Sequence[str]) -> Child:
    words = [sys.executable, "-m", "app.cli.main", "worker", "--device", device, *options]
    # Killed, we leave them as drained: each would lose its run by the same signal.
    return Child(f"worker on {device}", lambda: words, orphaned=signal.SIGTERM)


def _has_left(child: Child) -> bool:
    if child.exit_code != 0:
        return False
    typer.echo(f"caat: the {child.title} was told to end", err=True)
    return True
