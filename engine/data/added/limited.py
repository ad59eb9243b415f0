"""The limits of a child process that opens other people's files."""

import resource
from pathlib import Path

from engine.data.added.limits import DECODE_MEMORY


def limit() -> None:
    """Limit this process: memory beyond what it has, no new files, and an end to each image."""
    taken = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    most = taken + DECODE_MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
