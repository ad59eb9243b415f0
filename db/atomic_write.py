"""A file that is wholly the new one or still the earlier one, whatever happens meanwhile."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.modes import set_mode


@contextmanager
def atomic_write(target: Path, mode: int) -> Iterator[Path]:
    """Give an empty file beside the target that takes its place at the end of the block.

    After an error it is gone, and the target is as it was. A link is followed; a pipe or a device
    cannot be replaced and is given itself.

    Args:
        target: What to write.
        mode: Of a new file; one that is replaced hands its own on.

    Raises:
        OSError: It cannot be written; it names the target.
    """
    real = Path(os.path.realpath(target))
    if real.exists() and not real.is_file():
        with _named(target, real):
            yield real
        return
    with _named(target, None):
        temporary = _beside(real, mode)
    try:
        with _named(target, temporary):
            yield temporary
            flush(temporary)
            temporary.replace(real)
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it is there; some folders cannot be flushed or read
        flush(real.parent)


def _beside(target: Path, mode: int) -> Path:
    """Make a temporary file that has the mode, and if possible the owner, that the target has."""
    earlier = target.stat() if target.exists() else None
    if earlier is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    handle, name = tempfile.mkstemp(prefix=".caat-", suffix=".tmp", dir=target.parent)
    try:
        if earlier is not None:
            mode = stat.S_IMODE(earlier.st_mode)
            with contextlib.suppress(OSError):  # of another owner, whose group may write to it
                os.chown(handle, earlier.st_uid, earlier.st_gid)
        set_mode(handle, mode)
    finally:
        os.close(handle)
    return Path(name)


@contextmanager
def _named(target: Path, written: Path | None) -> Iterator[None]:
    """Have an error of the temporary file speak of the target."""
    try:
        yield
    except OSError as error:
        if written is not None and error.filename not in (None, str(written)):
            raise
        number = error.errno or errno.EIO
        raise OSError(number, os.strerror(number), str(target)) from error


def flush(place: Path) -> None:
    """Flush a file, or the names of a folder's files, to the disk."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
