"""Images in a file, of which only those that are asked for are read into memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

ByteArray = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]

AT_A_TIME = 1024
"""Images that are read at once by who needs all of them."""


class MappedImages:
    """Some rows of a memory-mapped array of images; it stands where an array of them would.

    To take rows of it reads nothing; to index it reads what is asked for.

    Attributes:
        stored: (M, channels, height, width) uint8, the mapped file.
        rows: (N,) which of them, in order.
        shape: (N, channels, height, width).
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, stored: ByteArray, rows: IntArray | None = None) -> None:
        self.stored = stored
        self.rows: IntArray = np.arange(len(stored)) if rows is None else rows
        self.shape = (len(self.rows), *stored.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> ByteArray:
        found: ByteArray = np.asarray(self.stored)[self.rows[index]]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ByteArray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return np.asarray, (self[:],)  # who is sent it need not have the file

    def pieces(self) -> Iterator[ByteArray]:
        """Yield all of them, some at a time."""
        for start in range(0, len(self), AT_A_TIME):
            yield self[start : start + AT_A_TIME]

    def copied_to(self, device: torch.device) -> Tensor:
        """Return all of them on a device, without a copy of all of them here."""
        copy = torch.empty(self.shape, dtype=torch.uint8, device=device)
        for start, piece in zip(range(0, len(self), AT_A_TIME), self.pieces(), strict=True):
            copy[start : start + AT_A_TIME] = torch.from_numpy(piece)
        return copy

    def take(self, index: IntArray) -> MappedImages:
        return MappedImages(self.stored, self.rows[index])

    def followed_by(self, other: MappedImages) -> MappedImages:
        """Return the rows of both, of one file."""
        assert self.stored is other.stored
        return MappedImages(self.stored, np.concatenate([self.rows, other.rows]))


def in_pieces(images: ByteArray | MappedImages) -> Iterator[ByteArray]:
    """Yield images one after the other, as many at a time as they are held in memory anyway."""
    if isinstance(images, MappedImages):
        yield from images.pieces()
    else:
        yield images
