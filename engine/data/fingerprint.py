"""What a dataset holds, as one short text: equal for equal images and labels, whatever the file."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np

from engine.data.datasets.base import Dataset, datasets
from engine.errors import UserError
from engine.mapped import in_pieces
from engine.types import ImageSet

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
    return content_digest(datasets()[name].load(folder))


def content_digest(parts: Iterable[ImageSet]) -> str:
    """Return the SHA-256 of every image and label; of given labels too where they are others."""
    state = hashlib.sha256()
    for part in parts:
        state.update(f"{part.images.dtype.str}{part.images.shape}".encode())
        for piece in in_pieces(part.images):
            state.update(np.ascontiguousarray(piece).data)
        known_noise = part.labels is not part.true_labels
        for labels in (part.true_labels, part.labels) if known_noise else (part.labels,):
            state.update(f"{labels.dtype.str}{labels.shape}".encode())
            state.update(np.ascontiguousarray(labels).data)
    return state.hexdigest()
