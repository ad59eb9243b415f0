"""A dataset that a person has added, as it is kept: its facts, and files that are mapped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from engine.data.added.limits import LARGEST_SIDE, MOST_CLASSES, SMALLEST_SIDE
from engine.data.datasets.base import Dataset, Part
from engine.errors import UserError
from engine.mapped import MappedImages
from engine.types import ImageSet, IntArray

FACTS = "facts.json"


class Facts(BaseModel):
    """What is known of an added dataset without reading an image; stands in ``facts.json``.

    Attributes:
        fingerprint: SHA-256 of its images and labels, as `engine.data.fingerprint` has it.
        source: The name of what was added, without its folder.
        added_at: When, in UTC, as ISO 8601 writes it.
        findings: What was noticed as it was added, a line each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    channels: Literal[1, 3]
    size: int = Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)
    class_names: tuple[str, ...] = Field(min_length=2, max_length=MOST_CLASSES)
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    held_out_per_class: int = Field(ge=1)
    knows_its_noise: bool = False
    fingerprint: str
    source: str
    added_at: str
    findings: tuple[str, ...] = ()

    @property
    def num_train(self) -> int:
        return sum(self.train_counts)

    @property
    def num_test(self) -> int:
        return sum(self.test_counts)


class AddedDataset(Dataset):
    """Served from its own folder, whichever folder others are kept in."""

    is_added = True

    def __init__(self, name: str, facts: Facts, place: Path) -> None:
        self.name = self.title = name
        self.facts, self.place = facts, place
        self.class_names = facts.class_names
        self.channels, self.size = facts.channels, facts.size
        self.train_counts, self.test_counts = facts.train_counts, facts.test_counts
        self.held_out_per_class = facts.held_out_per_class
        self.knows_its_noise = facts.knows_its_noise

    def is_here(self, folder: Path) -> bool:
        return (self.place / FACTS).is_file()

    def stored(self, folder: Path) -> list[Path]:
        return sorted(self.place.glob("*.npy"))

    def ensure(self, folder: Path) -> None:
        if not self.is_here(folder):
            raise UserError(gone(self.name))

    def load(self, folder: Path) -> tuple[ImageSet, ImageSet]:
        self.ensure(folder)
        return self._part("train", self.train_counts), self._part("test", self.test_counts)

    def origin(self, part: Part, index: int) -> str:
        ends = self._array(part, "origin-ends", (None,), dtype=np.int64)
        texts = self._array(part, "origins", (None,), dtype=np.uint8)
        if not 0 <= index < len(ends):
            return super().origin(part, index)
        start = int(ends[index - 1]) if index else 0
        return bytes(texts[start : int(ends[index])]).decode("utf-8", "replace")

    def _part(self, part: Part, counts: tuple[int, ...]) -> ImageSet:
        n = sum(counts)
        images = self._array(
            part, "images", (n, self.channels, self.size, self.size), dtype=np.uint8
        )
        true = self._labels(part, "labels", n)
        noisy = self.knows_its_noise and part == "train"
        given = self._labels(part, "given-labels", n) if noisy else true
        if np.bincount(true, minlength=len(counts)).tolist() != list(counts):
            raise UserError(f"{self._damaged(part, 'labels')}: its counts are not those of {FACTS}")
        return ImageSet(MappedImages(images), given, true, np.arange(n))

    def _labels(self, part: Part, what: str, n: int) -> IntArray:
        labels: IntArray = np.array(self._array(part, what, (n,), dtype=np.int64))
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.class_names):
            raise UserError(f"{self._damaged(part, what)}: it holds a label of no class")
        return labels

    def _array(
        self, part: Part, what: str, shape: tuple[int | None, ...], *, dtype: type[np.generic]
    ) -> npt.NDArray[Any]:
        """Map a file; its pages are never written, though torch wants them to be writable."""
        try:
            found = np.load(self.place / file_name(part, what), mmap_mode="c", allow_pickle=False)
        except FileNotFoundError:
            raise UserError(gone(self.name)) from None
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{self._damaged(part, what)} ({_first_line(error)})") from error
        fits = found.ndim == len(shape) and all(
            wanted in (None, has) for wanted, has in zip(shape, found.shape, strict=True)
        )
        if not fits or found.dtype != dtype:
            raise UserError(f"{self._damaged(part, what)}: it holds {found.shape} {found.dtype}")
        return np.asarray(found)

    def _damaged(self, part: Part, what: str) -> str:
        file = self.place / file_name(part, what)
        return f"data.dataset: {file} is damaged; remove {self.name} and add it again"


def file_name(part: Part, what: str) -> str:
    """Return the name of a file of a stored dataset."""
    return f"{part}-{what}.npy"


def gone(name: str) -> str:
    """Say that a dataset is not here, and what to do."""
    return (
        f"data.dataset: {name!r} is not on this machine (any more); add it again with "
        f"`caat data add PATH --name {name}`"
    )


def read_facts(place: Path) -> Facts:
    """Return the facts of a stored dataset.

    Raises:
        ValueError: They are not there, or of another version.
    """
    text = (place / FACTS).read_text(encoding="utf-8")
    return Facts.model_validate(json.loads(text))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
