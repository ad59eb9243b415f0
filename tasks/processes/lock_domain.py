"""Inside which data directory, on which boot of which kernel, a lock says who lives.

A domain is a random id in a file of the data directory, with the file's inode: a copy of the
directory is another domain, the same directory seen from another container is the same. Locks are
the kernel's, so they speak only within one boot of one kernel.
"""

import os
import uuid
from pathlib import Path

from db.atomic_write import flush
from db.modes import opener
from tasks.folder import make

NAME = "lock-domain"


def domain_of(data_dir: Path) -> str | None:
    """Return the domain of a data directory, or None: it has none, or may not be looked into."""
    file = data_dir / NAME
    try:
        text, inode = file.read_text(encoding="ascii").strip(), file.stat().st_ino
        return f"{uuid.UUID(text).hex}.{inode}"
    except (OSError, ValueError):
        return None


def files_of(domain: str) -> str:
    """Return the part of a domain that says whose files they are, on whatever host or boot."""
    return domain.partition(".")[0]


def ensure_domain(data_dir: Path) -> str:
    """Return the domain of this process's data directory; the first call there makes it.

    One that is damaged is made anew: attempts of the old one are then judged by their lease.

    Raises:
        OSError: The file can neither be read nor made.
    """
    found = domain_of(data_dir)
    if found is not None:
        return found
    make(data_dir)
    file = data_dir / NAME
    is_damaged = file.exists()
    new = data_dir / f"{NAME}.{uuid.uuid4().hex}.tmp"
    try:
        _write(new, uuid.uuid4().hex)
        if is_damaged:
            new.replace(file)
        else:
            _name(new, file)
    finally:
        new.unlink(missing_ok=True)
    flush(data_dir)
    found = domain_of(data_dir)
    if found is None:
        raise OSError(f"{file} cannot be read")
    return found


def _write(file: Path, text: str) -> None:
    with open(file, "w", encoding="ascii", opener=opener) as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def _name(new: Path, file: Path) -> None:
    """Give a file its name if no other process was faster."""
    try:
        os.link(new, file)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        new.replace(file)
