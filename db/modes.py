"""Who may read what is made here: its owner alone, or a group too where the folder is shared.

The mode of a folder says whether it is shared (setgid, open to the group, closed to others), so
every process does in it as the others do, whatever its umask and its environment.
"""

import contextlib
import os
import stat
from pathlib import Path

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
SHARED_FOLDER, SHARED_FILE = 0o2770, 0o660


def is_shared(folder: Path) -> bool:
    """Tell whether a folder is shared with its group."""
    return folder.stat().st_mode & 0o2077 == 0o2070


def file_mode(folder: Path) -> int:
    """Return the mode of a file that is made in a folder."""
    return SHARED_FILE if is_shared(folder) else PRIVATE_FILE


def fitting(mode: int, *, shared: bool) -> int:
    """Return what a file's or folder's mode should be: others nothing, the group all or nothing.

    What its owner may do stays.
    """
    owner = mode & stat.S_IRWXU
    group = owner >> 3 if shared else 0
    return owner | group | (stat.S_ISGID if shared and stat.S_ISDIR(mode) else 0)


def opener(path: str, flags: int) -> int:
    """Open a file for `open`'s argument of this name; one that is made has its folder's mode."""
    mode = file_mode(Path(path).parent)
    handle = os.open(path, flags, mode)
    about = os.fstat(handle)
    is_ours = stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()
    if flags & os.O_CREAT and is_ours and stat.S_IMODE(about.st_mode) != mode:
        set_mode(handle, mode)
    return handle


def create(path: Path) -> None:
    """Make an empty file with its folder's mode; one that is there stays as it is inside."""
    os.close(opener(str(path), os.O_WRONLY | os.O_CREAT))


def make(folder: Path) -> None:
    """Make a folder in one that is there, as open as that one."""
    mode = SHARED_FOLDER if is_shared(folder.parent) else PRIVATE_FOLDER
    try:
        folder.mkdir(mode)
    except FileExistsError:
        return
    set_mode(folder, mode)


def set_mode(place: Path | int, mode: int) -> None:
    """Change a mode where the file system knows modes; the doctor says where it does not."""
    with contextlib.suppress(OSError):
        os.chmod(place, mode)  # noqa: PTH101 - of an open file too
