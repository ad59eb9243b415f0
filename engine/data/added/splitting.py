"""Which of the images that were read are kept, in which part, and what is said of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.added.incoming import Incoming, Shape
from engine.data.added.limits import FEWEST_IN_CLASS
from engine.data.added.refusal import Refused
from engine.data.datasets.base import Part
from engine.types import IntArray, rows_by_class

_AT_A_TIME = 2048
_SEED = 0
"""Of the draw of a test part: the same images give the same parts."""
Hashes = npt.NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Which rows of a source a part has, ascending; ``of`` is which source."""

    of: Part
    index: IntArray


@dataclass(frozen=True)
class Chosen:
    """The parts, with how many images of each true class they have, and what was noticed."""

    rows: Mapping[Part, Rows]
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    remarks: tuple[str, ...]


def true_labels(incoming: Incoming) -> IntArray:
    return incoming.labels if incoming.true_labels is None else incoming.true_labels


def require_classes(train: Incoming, *, has_test: bool) -> None:
    """Refuse classes without the images that a run needs of each.

    Raises:
        Refused: One has too few.
    """
    counts = np.bincount(true_labels(train), minlength=len(train.class_names))
    fewest = int(counts.argmin())
    if counts[fewest] < FEWEST_IN_CLASS:
        raise Refused(train.title, _too_few(train.class_names[fewest], int(counts[fewest])))
    if not has_test and (counts <= FEWEST_IN_CLASS).all():
        raise Refused(train.title, "no class has an image to spare for the test part; give --test")


def _too_few(name: str, has: int) -> str:
    return (
        f"class {name!r} has {has} training image{'' if has == 1 else 's'}; allowed: "
        f"{FEWEST_IN_CLASS} at least, to learn from, for the meta set and for validation"
    )


def hashes_of(file: Path, shape: Shape, number: int) -> Hashes:
    """Return a hash of each image, (N,) of 16 bytes."""
    each = shape.channels * shape.size**2
    images = np.asarray(np.memmap(file, np.uint8, "r", shape=(number, each)))
    found = [hashlib.blake2b(image.data, digest_size=16).digest() for image in images]
    return np.frombuffer(b"".join(found), dtype="V16")


def choose(
    parts: Mapping[Part, Incoming],
    hashes: Mapping[Part, Hashes],
    files: Mapping[Part, Path],
    *,
    shape: Shape,
    test_share: float,
) -> Chosen:
    """Decide which images are kept: a test image is no training image as well.

    Raises:
        Refused: A class is left with too few.
    """
    train = parts["train"]
    remarks: list[str] = []
    for part, incoming in parts.items():
        remarks += _twins_in_words(part, hashes[part], true_labels(incoming))
        constant = _num_constant(files[part], shape, len(incoming))
        if constant:
            remarks.append(f"{constant:,} images of {part} are of one colour: kept")
    if "test" in parts:
        rows = _apart(parts, hashes, remarks)
    else:
        rows = _with_drawn_test(train, hashes["train"], test_share, remarks=remarks)
    names = train.class_names
    counts = {part: _counts(parts[one.of], one.index, len(names)) for part, one in rows.items()}
    for name, n in zip(names, counts["train"], strict=True):
        if n < FEWEST_IN_CLASS:
            raise Refused(train.title, f"apart from the test part, {_too_few(name, n)}")
    absent = [name for name, n in zip(names, counts["test"], strict=True) if not n]
    if absent:
        some = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        remarks.append(f"{len(absent)} classes have no test image: {some}")
    return Chosen(rows, counts["train"], counts["test"], tuple(remarks))


def _apart(
    parts: Mapping[Part, Incoming], hashes: Mapping[Part, Hashes], remarks: list[str]
) -> dict[Part, Rows]:
    theirs_by_hash = set(hashes["test"].tolist())
    crossing = np.array([one in theirs_by_hash for one in hashes["train"].tolist()])
    if crossing.any():
        remarks.append(
            f"{int(crossing.sum()):,} training images are in the test part as well: left out of "
            "training"
        )
    theirs = np.arange(len(parts["test"]))
    return {"train": Rows("train", np.flatnonzero(~crossing)), "test": Rows("test", theirs)}


def _with_drawn_test(
    train: Incoming, hashes: Hashes, share: float, *, remarks: list[str]
) -> dict[Part, Rows]:
    """Draw a share of each class, from images that are there once, leaving enough to train on."""
    rng = np.random.default_rng(_SEED)
    inverse, counts = _groups(hashes)
    once = counts[inverse] == 1
    in_test = np.zeros(len(train), dtype=bool)
    for rows in rows_by_class(true_labels(train), len(train.class_names)):
        candidates = rows[once[rows]]
        wanted = min(round(share * len(rows)), max(len(rows) - FEWEST_IN_CLASS, 0))
        in_test[rng.permutation(candidates)[:wanted]] = True
    if not in_test.any():
        raise Refused(train.title, "no image can be drawn for the test part; give --test")
    number = int(in_test.sum())
    remarks.append(f"{number:,} images are drawn for the test part, class by class")
    mine, theirs = np.flatnonzero(~in_test), np.flatnonzero(in_test)
    return {"train": Rows("train", mine), "test": Rows("train", theirs)}


def _counts(incoming: Incoming, rows: IntArray, number: int) -> tuple[int, ...]:
    return tuple(np.bincount(true_labels(incoming)[rows], minlength=number).tolist())


def _groups(hashes: Hashes) -> tuple[IntArray, IntArray]:
    """Return which group of equal images each is of, (N,), and how many each group has."""
    number: dict[bytes, int] = {}
    inverse = np.array([number.setdefault(one, len(number)) for one in hashes.tolist()])
    return inverse, np.bincount(inverse, minlength=len(number))


def _twins_in_words(part: str, hashes: Hashes, labels: IntArray) -> list[str]:
    inverse, counts = _groups(hashes)
    again = len(hashes) - len(counts)
    if not again:
        return []
    low, high = np.full(len(counts), np.iinfo(np.int64).max), np.full(len(counts), -1)
    np.minimum.at(low, inverse, labels)
    np.maximum.at(high, inverse, labels)
    said = [f"{again:,} images of {part} repeat another one: kept"]
    apart = int((low != high).sum())
    if apart:
        said.append(f"{apart:,} images of {part} are there with different labels: kept")
    return said


def _num_constant(file: Path, shape: Shape, number: int) -> int:
    images = np.memmap(file, np.uint8, "r", shape=(number, shape.channels, shape.size**2))
    found = 0
    for start in range(0, number, _AT_A_TIME):
        piece = images[start : start + _AT_A_TIME]
        found += int((piece == piece[:, :, :1]).all(axis=(1, 2)).sum())
    return found
