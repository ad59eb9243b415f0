"""What the operating system refused, as one line: what, where, what to do."""

import errno
import os
import sys
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
BROKEN_PIPE = 1
"""Nobody reads on, and nothing is to be told; typer ends so too."""


def explained(error: OSError) -> tuple[str, int] | None:
    """Return the line, or an empty one, and the exit code; nothing if it is about no file."""
    output = _output_error()
    if output is not None:
        error = output
    if output is None and error.errno not in _ADVICE:
        return None
    if error.errno == errno.EPIPE:
        return "", BROKEN_PIPE
    place = "the standard output" if output else _shown(error.filename)
    advice = _ADVICE.get(error.errno or 0, "")
    if error.errno in (errno.EACCES, errno.EPERM) and error.filename and not output:
        closed = denied(Path(os.fsdecode(error.filename)).absolute())
        if closed is not None:
            return closed, 2
    line = f"cannot use {place}: {error.strerror}"
    return f"{line}; {advice}" if advice else line, 2 if error.errno in _MISTAKES else 1


def _output_error() -> OSError | None:
    """Return why nothing can be written on stdout; what could not be, is still in its buffer."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        return error
    except ValueError:  # it was closed
        return None
    return None


def _shown(name: object) -> str:
    if name is None:
        return "a file"
    text = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)
    return text if text.isprintable() else repr(text)
