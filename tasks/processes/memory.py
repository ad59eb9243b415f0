"""Did the system kill a process for memory? The kernel counts; one looks before and after."""

from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def oom_kills() -> int:
    """Return how many processes of this control group were killed for memory so far.

    Version 2 says so in ``memory.events``, version 1 in ``memory.oom_control``; outside of any
    group, the kernel's count for the whole machine stands in. Elsewhere than on Linux: 0.
    """
    for path in (*_of_groups(), PROC / "vmstat"):
        try:
            words = path.read_text().split()
        except OSError:
            continue
        counts = dict(zip(words[::2], words[1::2], strict=False))
        if "oom_kill" in counts:
            return int(counts["oom_kill"])
    return 0


def _of_groups() -> list[Path]:
    """Return the files that may hold this process's count, the best first."""
    try:
        lines = (PROC / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            found += _places(CGROUPS, group, "memory.events")
        elif "memory" in controllers.split(","):
            found += _places(CGROUPS / "memory", group, "memory.oom_control")
    return found


def _places(mount: Path, group: str, name: str) -> list[Path]:
    # A container may see its own group as the root, and yet be told the name from outside.
    return [mount / group.lstrip("/") / name, mount / name]
