"""Where added datasets are kept: one folder each below ``datasets/added`` of the data directory.

A dataset appears and vanishes by one renaming, so each process sees it whole or not at all, and
the folder's time of change tells that there is something new.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from engine.data.added.dataset import AddedDataset, read_facts
from engine.data.datasets.base import DATASETS, Dataset
from engine.errors import UserError

ADDED = "added"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_SURE_AFTER = 2.0
"""Seconds after which a folder's time of change would show another change."""


@dataclass(frozen=True)
class _Seen:
    folder: Path
    changed_at: int
    found: dict[str, Dataset]


_seen: _Seen | None = None


def added_to(folder: Path) -> dict[str, Dataset]:
    """Return what was added to a folder of datasets, by name; cheap where nothing has changed."""
    global _seen
    place, seen = folder / ADDED, _seen
    try:
        changed_at = place.stat().st_mtime_ns
    except OSError:
        return {}
    if seen is not None and (seen.folder, seen.changed_at) == (place, changed_at):
        return seen.found
    found = _read(place)
    if time.time_ns() - changed_at > _SURE_AFTER * 1e9:
        _seen = _Seen(place, changed_at, found)
    return found


def _read(place: Path) -> dict[str, Dataset]:
    found: dict[str, Dataset] = {}
    for entry in sorted(place.iterdir()):
        if not _NAME.fullmatch(entry.name):
            continue  # on its way in or out
        try:
            found[entry.name] = AddedDataset(entry.name, read_facts(entry), entry)
        except (OSError, ValueError):
            continue  # of another version, or damaged: `caat data list` says so
    return found


def unreadable(folder: Path) -> list[str]:
    """Return the names under which something is kept that this version cannot read."""
    place, known = folder / ADDED, added_to(folder)
    entries = place.iterdir() if place.is_dir() else ()
    return sorted(e.name for e in entries if _NAME.fullmatch(e.name) and e.name not in known)


def require_free_name(folder: Path, name: str) -> str:
    """Return a name under which a dataset may be added.

    Raises:
        UserError: It cannot be one, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"--name: {name[:80]!r} is not valid; allowed: 1 to 64 of a-z, 0-9 and -, as in "
            "my-photos, and no - first"
        )
    if name in DATASETS.all():
        raise UserError(f"--name: {name} comes with the program; choose another name")
    if (folder / ADDED / name).exists():
        raise UserError(f"--name: {name} is taken; choose another, or `caat data remove {name}`")
    return name
