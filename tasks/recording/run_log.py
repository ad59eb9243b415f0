"""What the trainers of a run wrote into its log, one attempt after the other."""

import os
from dataclasses import dataclass
from pathlib import Path

from tasks.settings import settings

MAX_LINES = 200
MAX_BYTES = 64_000


@dataclass(frozen=True)
class Tail:
    """The end of a log.

    Attributes:
        text: Its last lines; what is no UTF-8 is replaced.
        size: Bytes of the whole file.
        is_whole: Whether nothing was left out.
    """

    text: str
    size: int
    is_whole: bool


def path_of(run_id: str) -> Path:
    return settings().run_dir(run_id) / "log.txt"


def tail(run_id: str) -> Tail | None:
    """Return the last lines of a run's log, or nothing: it is not on this machine."""
    try:
        with path_of(run_id).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - MAX_BYTES, 0))
            data = file.read(MAX_BYTES)
    except OSError:
        return None
    lines = data.decode("utf-8", errors="replace").splitlines()
    if size > MAX_BYTES:
        lines = lines[1:]  # the first one is cut
    shown = lines[-MAX_LINES:]
    return Tail("\n".join(shown), size, size <= MAX_BYTES and len(shown) == len(lines))


def whole(run_id: str) -> bytes:
    """Return all of a run's log; nothing where there is none."""
    try:
        return path_of(run_id).read_bytes()
    except OSError:
        return b""
