"""How much memory there is to have here, and did the system kill a process for it?

A control group, which a container is, may have less than the machine. Version 2 of the kernel's
interface and version 1 call the same things by other names.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


class _Names(NamedTuple):
    """What the files of a group are called, and the line of ``memory.stat`` that counts caches."""

    kills: str
    limit: str
    usage: str
    cache: str


_VERSION_1 = _Names(
    "memory.oom_control",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
)
_VERSION_2 = _Names("memory.events", "memory.max", "memory.current", "inactive_file")


class Memory(NamedTuple):
    """Bytes that the programs here may have together, and those that they have."""

    total: int
    used: int


def memory() -> Memory:
    """Return the machine's, or that of the tightest control group that this process is in.

    What the system would give up at once, to whoever asks, does not count as used.
    """
    machine = psutil.virtual_memory()
    found = Memory(machine.total, machine.total - machine.available)
    for folder, names in _groups():
        try:
            limit = int((folder / names.limit).read_text())  # or "max", which is none
            usage = int((folder / names.usage).read_text())
        except (OSError, ValueError):
            continue
        if limit < found.total:
            cache = _counts(folder / "memory.stat").get(names.cache, 0)
            found = Memory(limit, max(0, usage - cache))
    return found


def oom_kills() -> int:
    """Return how many processes of this control group were killed for memory so far.

    Outside of any group, the kernel's count for the whole machine stands in. Elsewhere than on
    Linux: 0.
    """
    files = [folder / names.kills for folder, names in _groups()]
    for path in (*files, PROC / "vmstat"):
        counts = _counts(path)
        if "oom_kill" in counts:
            return counts["oom_kill"]
    return 0


def _groups() -> Iterator[tuple[Path, _Names]]:
    """Give the folders of the groups that this process is in, each before those around it."""
    try:
        lines = (PROC / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            mount, names = CGROUPS, _VERSION_2
        elif "memory" in controllers.split(","):
            mount, names = CGROUPS / "memory", _VERSION_1
        else:
            continue
        # A container may see its own group as the root, and yet be told the name from outside.
        inner = Path(group.lstrip("/"))
        around = () if ".." in inner.parts else (inner, *inner.parents)
        yield from ((mount / name, names) for name in around if name != Path())
        yield mount, names


def _counts(path: Path) -> dict[str, int]:
    """Return the numbers of a file of names and numbers; none of one that is not there."""
    try:
        words = path.read_text().split()
    except OSError:
        return {}
    pairs = zip(words[::2], words[1::2], strict=False)
    return {name: int(number) for name, number in pairs if number.isdecimal()}
