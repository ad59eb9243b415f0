"""Which folder of datasets this process uses; asked for at each look, as settings may be anew."""

from collections.abc import Callable
from pathlib import Path


def _nowhere() -> Path | None:
    return None


_folder: Callable[[], Path | None] = _nowhere


def look_in(folder: Callable[[], Path | None]) -> None:
    """Have `engine.data.datasets.base.datasets` know what people have added to a folder."""
    global _folder
    _folder = folder


def dataset_folder() -> Path | None:
    """Return the folder, or None where none is named: then only bundled datasets are known."""
    try:
        return _folder()
    except ValueError:
        return None  # the settings are wrong, which whoever needs them tells
