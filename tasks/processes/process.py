"""What every process of ours does first, and the files that it writes for a person.

The settings are loaded where they are asked for: a command that only helps needs none.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from db.atomic_write import atomic_write
from db.modes import file_mode
from engine.errors import UserError
from tasks.sharing import set_umask, user_umask


def init_process() -> None:
    """Make private what is made next, here and by children; call it where a process starts only.

    Before anything is made, `apply_shared_umask` has to follow.
    """
    for number in range(3):  # a closed output would be the number of the next file that is opened
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    set_umask(0o077)


def apply_shared_umask() -> None:
    """Open what is made next to the group, in a process that began, if the data directory is so."""
    from tasks.settings import settings

    with contextlib.suppress(ValueError):  # settings that cannot be are told by who needs them
        if settings().is_shared:
            set_umask(0o007)


@contextmanager
def output_file(out: Path) -> Iterator[BinaryIO]:
    """Give a file that is wholly in the place of ``out`` at the end, or not at all.

    Raises:
        UserError: There cannot be such a file.
        OSError: It cannot be written; the earlier one, if any, is as it was.
    """
    require_place(out)
    with atomic_write(out, mode_of(out)) as path, path.open("wb") as file:
        yield file


def require_place(out: Path) -> None:
    """Refuse a name where no file can be.

    Raises:
        UserError: It is a folder, or there is no folder to put it in.
    """
    if out.is_dir():
        raise UserError(f"--out: {out} is a folder; name a file in it")
    if not out.parent.is_dir():
        raise UserError(f"--out: the folder {out.parent} does not exist")


def mode_of(out: Path) -> int:
    """Return the mode of a file that a person asks for: private only in the data directory."""
    from tasks.settings import settings

    folder = out.parent.resolve()
    if folder.is_relative_to(settings().data_dir.resolve()):
        return file_mode(folder)
    return 0o666 & ~user_umask()
