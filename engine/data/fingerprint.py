"""What a dataset holds, as one short text: equal for equal images and labels, whatever the file."""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from engine.data.datasets.base import Dataset, datasets
from engine.errors import UserError

Stamp = tuple[tuple[str, int, int], ...]
"""Path, time of the last change and size of every file."""


def fingerprint(source: Dataset, folder: Path) -> str:
    """Return the SHA-256, 64 hex digits, of every official image and label.

    As long as no file changes, a process computes it once.

    Raises:
        UserError: The dataset is missing, or its files cannot be read.
    """
    if not source.is_here(folder):
        raise UserError(f"Dataset {source.name} is missing")
    return _of_content(source.name, folder, _stamp(source, folder))


def require_unchanged(source: Dataset, folder: Path, expected: str) -> None:
    """Refuse a dataset that is not the one of the fingerprint.

    Raises:
        UserError: It is missing or has changed.
    """
    found = fingerprint(source, folder)
    if found != expected:
        raise UserError(
            f"Dataset {source.name} has changed since launch "
            f"(fingerprint {expected[:8]}, now {found[:8]})"
        )


def _stamp(source: Dataset, folder: Path) -> Stamp:
    seen = [(path, path.stat()) for path in source.stored(folder)]
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in seen)


@lru_cache(maxsize=32)
def _of_content(name: str, folder: Path, stamp: Stamp) -> str:
    state = hashlib.sha256()
    for part in datasets()[name].load(folder):
        for array in (part.images, part.labels):
            state.update(f"{array.dtype.str}{array.shape}".encode())
            state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()
