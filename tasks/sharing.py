"""The data directory is its owner's alone, or is shared with a group that the settings name."""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from db.modes import PRIVATE_FOLDER, fitting, is_shared, set_mode

_OURS = ("caat.db", "runs", "datasets", "broker", "lock-domain")
"""How everything begins that the program itself makes in the data directory."""
_SYSTEM = "/ /bin /boot /dev /etc /home /lib /media /mnt /opt /proc /run /sbin /srv /sys /usr /var"
_MOST_OF_OTHERS = 10_000
"""So many files of a folder that the program did not make are looked at, at a start."""
_earlier_umask: int | None = None


def set_umask(umask: int) -> None:
    """Set the umask of a process of ours, and keep in mind which one its person has."""
    global _earlier_umask
    before = os.umask(umask)
    if _earlier_umask is None:
        _earlier_umask = before


def user_umask() -> int:
    """Return the umask that this process was started with."""
    if _earlier_umask is not None:
        return _earlier_umask
    umask = os.umask(0o077)  # there is no way to only look
    os.umask(umask)
    return umask


def fix_modes(folder: Path, group: str | None, *, thorough: bool = False) -> None:
    """Make the data directory, or mend the modes of one that is there and ours.

    The folder itself comes last, so that a start cut short is made up for by the next one. What
    another user owns is left as it is, and a folder that serves other ends too is not closed.

    Args:
        folder: The data directory.
        group: With whom it is shared; without one, a folder that is shared already stays so.
        thorough: Whether to look at every file even if the folder itself is as it should be.

    Raises:
        OSError: It cannot be made.
    """
    _make(folder)
    gid = grp.getgrnam(group).gr_gid if group else None
    shared = group is not None or is_shared(folder)
    if _has_right_mode(folder.stat(), gid, shared=shared) and not thorough:
        return
    whole = _is_for_us_alone(folder)
    for entry in list(folder.iterdir()):
        if entry.name.startswith(_OURS):
            fix_modes_below(entry, gid, shared=shared)
        elif whole:
            fix_modes_below(entry, gid, shared=shared, most=_MOST_OF_OTHERS)
    if whole:
        _fix_mode(folder.resolve(), gid, shared=shared)


def fix_modes_below(
    place: Path, gid: int | None = None, *, shared: bool, most: int | None = None
) -> None:
    """Mend the modes of a file, or of a folder with all in it; links are not followed."""
    for path in islice(below(place), most):
        _fix_mode(path, gid, shared=shared)


def below(place: Path) -> Iterator[Path]:
    """Give a file, or a folder with all in it, what is deepest first."""
    for folder, _, files in os.walk(place, topdown=False):
        yield from (Path(folder) / name for name in files)
        yield Path(folder)
    if not place.is_dir() or place.is_symlink():
        yield place


def wrong_modes(folder: Path) -> list[Path]:
    """Return what is more open, or less, than the data directory's own mode says."""
    shared, gid = is_shared(folder), folder.stat().st_gid
    inside = (path for path in below(folder) if path != folder)
    return [p for p in inside if _has_wrong_mode(p, gid if shared else None, shared=shared)]


def denied(place: Path) -> str | None:
    """Say whose folder keeps this user from a file that is read and written, and what to do."""
    for folder in [*reversed(place.parents), place]:
        needed = os.R_OK | os.W_OK if folder == place else os.X_OK
        if not os.path.lexists(folder):
            return _closed(folder.parent) if not os.access(folder.parent, os.W_OK) else None
        if not os.access(folder, needed):
            return _closed(folder)
    return None


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"group {gid}"


def _make(folder: Path) -> None:
    """Make a folder for its owner alone, and those above it as the person's other folders are."""
    if folder.is_dir():
        return
    for above in reversed(folder.parents):
        if not above.is_dir():
            above.mkdir(exist_ok=True)
            set_mode(above, 0o777 & ~user_umask())
    folder.mkdir(PRIVATE_FOLDER, exist_ok=True)
    set_mode(folder, PRIVATE_FOLDER)


def _has_right_mode(about: os.stat_result, gid: int | None, *, shared: bool) -> bool:
    fits = stat.S_IMODE(about.st_mode) == fitting(about.st_mode, shared=shared)
    return fits and gid in (None, about.st_gid)


def _has_wrong_mode(path: Path, gid: int | None, *, shared: bool) -> bool:
    try:
        about = path.lstat()
    except OSError:
        return False  # gone meanwhile
    return not stat.S_ISLNK(about.st_mode) and not _has_right_mode(about, gid, shared=shared)


def _fix_mode(path: Path, gid: int | None, *, shared: bool) -> None:
    try:
        about = path.lstat()
        is_ours = about.st_uid == os.geteuid() and not stat.S_ISLNK(about.st_mode)
        if not is_ours or _has_right_mode(about, gid, shared=shared):
            return
        if gid is not None and gid != about.st_gid:
            os.chown(path, -1, gid)  # before the mode: it takes the setgid bit away
        path.chmod(fitting(about.st_mode, shared=shared))
    except OSError:
        return  # gone meanwhile, or we are not in the group: the doctor says what stays


def _is_for_us_alone(folder: Path) -> bool:
    """Tell whether a folder is this user's and serves nothing else that we should not close.

    Somebody may have named ``/tmp``, ``/srv`` or a disk that others use.
    """
    about, me, real = folder.stat(), os.geteuid(), folder.resolve()
    is_common = about.st_mode & stat.S_ISVTX or str(real) in _SYSTEM.split()
    if about.st_uid != me or is_common or real in Path("~").expanduser().resolve().parents:
        return False
    others = (e for e in folder.iterdir() if not e.name.startswith(_OURS))
    return all(entry.lstat().st_uid in (me, 0) for entry in others)


def _closed(place: Path) -> str:
    about = place.stat()
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return f"{place} is on a disk that is read-only"
    owner, me = user_name(about.st_uid), user_name(os.geteuid())
    if place.is_dir() and is_shared(place):
        group = group_name(about.st_gid)
        return (
            f"{place} belongs to {owner} and is shared with the group {group}, which {me} is not "
            "in: have yourself added and log in again"
        )
    return (
        f"{place} belongs to {owner} and is closed to {me}: set CAAT_DATA_DIR to a folder of your "
        f"own, or ask {owner} to share it (CAAT_SHARED_GROUP)"
    )
