"""What the operating system refused, as one line: what, where, what to do."""

import errno
import os
from pathlib import Path

from tasks.sharing import denied

_FREE = "free some space, or use another disk"
_ADVICE = {
    errno.ENOSPC: _FREE,
    errno.EDQUOT: _FREE,
    errno.EFBIG: "the limit of a file's size is reached; raise it, or write less",
    errno.EROFS: "name a place on a disk that can be written",
    errno.EIO: "look at the disk",
    errno.ENOENT: "make its folder first, or name another place",
    errno.ENOTDIR: "a part of its path is a file; name another place",
    errno.EISDIR: "name a file",
    errno.EACCES: "name another place, or have its owner let you in",
    errno.EPERM: "name another place, or have its owner do it",
    errno.ENAMETOOLONG: "name it shorter",
    errno.ELOOP: "its links lead in a circle; name another place",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "end some other programs",
}
_MISTAKES = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}
"""What another name would have avoided."""
_OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def explained(error: OSError) -> tuple[str, int] | None:
    """Return the line and the exit code; nothing if no file and no output is the cause."""
    number, name = error.errno or 0, error.filename
    if number not in _ADVICE:
        return None
    if number in (errno.EACCES, errno.EPERM) and name:
        closed = denied(Path(os.fsdecode(name)).absolute())
        if closed is not None:
            return closed, 2
    line = f"cannot use {_shown(name, number)}: {os.strerror(number)}; {_ADVICE[number]}"
    return line, 2 if number in _MISTAKES else 1


def _shown(name: object, number: int) -> str:
    if name is None:  # whatever is written to a file says to which
        return "the standard output" if number in _OF_WRITING else "a file"
    text = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)
    return text if text.isprintable() else repr(text)
