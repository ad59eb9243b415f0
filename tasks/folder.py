"""A run's folder: made so that a power cut does not lose it, deleted so that nothing stays."""

import logging
import shutil
from pathlib import Path

from db import modes
from db.atomic_write import flush
from tasks import sharing
from tasks.settings import settings

log = logging.getLogger(__name__)


def make(folder: Path) -> None:
    """Create a folder and those above it that are not there, and flush their names to the disk."""
    if folder.is_dir():
        return
    if folder == settings().data_dir:
        sharing.fix_modes(folder, settings().shared_group)
    else:
        make(folder.parent)
        modes.make(folder)
    flush(folder.parent)


def delete(folder: Path) -> bool:
    """Delete a folder with all in it; False, with a warning, if something of it stays."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        if not folder.exists():
            return True
        log.warning("%s stays for now (%s)", folder, error)
        return False
    return True
