"""From what a reader has found to a stored dataset: written aside whole, then put in its place.

Nothing is seen of it before `Staged.keep`; a process that dies leaves a folder that the next one
clears away.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.added.dataset import FACTS, AddedDataset, Facts, file_name
from engine.data.added.incoming import Incoming, Parts, Shape
from engine.data.added.limits import HELD_OUT_SHARE, MOST_BYTES, MOST_HELD_OUT
from engine.data.added.refusal import Refused, told
from engine.data.added.shelf import ADDED, added_to, require_free_name
from engine.data.added.splitting import Chosen, choose, hashes_of, require_classes
from engine.data.datasets.base import Part
from engine.data.fingerprint import content_digest
from engine.types import IntArray

_STAGED, _LOCK, _RAW = ".staged-", "lock", "raw"
_AT_A_TIME = 2048
TEST_SHARE = 0.2

Progress = Callable[[str, int, int], object]
"""Is told what goes on, how many images of it are done, and how many there are."""


@dataclass(frozen=True)
class Options:
    """How a dataset is stored: the side that is asked for, and the share drawn for the test."""

    size: int | None = None
    test_share: float = TEST_SHARE


@dataclass(frozen=True)
class Staged:
    """A dataset that is written and checked, and not added yet.

    Attributes:
        dataset: As it will be; it can be looked at.
        place: Where it is kept until then.
        lock: An open file that says that it is still wanted.
        same_as: The name under which the same images and labels are here already.
    """

    dataset: AddedDataset
    place: Path
    lock: Any
    same_as: str | None

    def keep(self, folder: Path) -> AddedDataset:
        """Add it.

        Raises:
            UserError: Somebody took the name meanwhile; nothing was added.
        """
        name = require_free_name(folder, self.dataset.name)
        target = folder / ADDED / name
        (self.place / _LOCK).unlink(missing_ok=True)
        try:
            self.place.rename(target)
        except OSError:
            require_free_name(folder, name)
            raise
        self.lock.close()
        return AddedDataset(name, self.dataset.facts, target)

    def drop(self) -> None:
        """Forget it, unless it was added."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.lock.close()


def stage(
    parts: Parts,
    name: str,
    folder: Path,
    *,
    options: Options = Options(),
    progress: Progress = lambda what, done, total: None,
) -> Staged:
    """Write a dataset aside, checked.

    Args:
        parts: What was found.
        name: What it will be called.
        folder: Of datasets.
        options: How it is stored.
        progress: Is told of it.

    Raises:
        UserError: It cannot be added; nothing is left of it.
        OSError: The disk is full, or closed to us.
    """
    require_free_name(folder, name)
    if not 0 < options.test_share < 1:
        share = f"{options.test_share:g} is not valid; allowed: between 0 and 1"
        raise Refused("--test-share", share)
    require_classes(parts.parts["train"], has_test="test" in parts.parts)
    place, lock = _new_place(folder)
    try:
        facts = _write(parts, place, options, progress=progress)
        (place / FACTS).write_text(json.dumps(facts.model_dump(mode="json")), encoding="utf-8")
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        lock.close()
        if isinstance(error, OSError) and error.filename is None:
            raise OSError(error.errno, error.strerror or "failed", str(folder)) from None
        raise
    same = [
        one.name
        for one in added_to(folder).values()
        if isinstance(one, AddedDataset) and one.facts.fingerprint == facts.fingerprint
    ]
    return Staged(AddedDataset(name, facts, place), place, lock, same[0] if same else None)


def clear_leftovers(folder: Path) -> None:
    """Clear away what processes have left that are gone."""
    for place in (folder / ADDED).glob(f"{_STAGED}*"):
        with contextlib.suppress(OSError), (place / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)


def _new_place(folder: Path) -> tuple[Path, Any]:
    added = folder / ADDED
    added.mkdir(parents=True, exist_ok=True)
    clear_leftovers(folder)
    place = Path(tempfile.mkdtemp(prefix=_STAGED, dir=added))
    lock = (place / _LOCK).open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return place, lock


def _write(parts: Parts, place: Path, options: Options, *, progress: Progress) -> Facts:
    train, test = parts.parts["train"], parts.parts.get("test")
    shape = _shape(train, test, options.size, progress=progress)
    files: dict[Part, Path] = {}
    hashes: dict[Part, npt.NDArray[Any]] = {}
    for part, incoming in parts.parts.items():
        files[part] = place / f"{part}-{_RAW}"
        _allocate(files[part], len(incoming), shape)
        incoming.write(files[part], shape, _counting(f"Reading {part}", len(incoming), progress))
        hashes[part] = hashes_of(files[part], shape, len(incoming))
    chosen = choose(parts.parts, hashes, files, shape=shape, test_share=options.test_share)
    for part, rows in chosen.rows.items():
        incoming, raw = parts.parts[rows.of], files[rows.of]
        _write_part(place, part, incoming, raw=raw, rows=rows.index, shape=shape)
    for file in files.values():
        file.unlink()
    remarks = (*parts.remarks, *train.remarks, *(test.remarks if test else ()), *chosen.remarks)
    return _facts(place, train, shape, chosen=chosen, remarks=remarks)


def _shape(
    train: Incoming, test: Incoming | None, size: int | None, *, progress: Progress
) -> Shape:
    shape = train.shape(size, _counting("Looking at train", len(train), progress))
    if test is None:
        return shape
    asked = shape.size if test.can_be_resized else size
    other = test.shape(asked, _counting("Looking at test", len(test), progress))
    if train.can_be_resized and test.can_be_resized:
        return Shape(max(shape.channels, other.channels), shape.size)
    if shape != other:
        raise Refused(
            test.title,
            f"has images of {other.size} x {other.size} with {other.channels} channels, training "
            f"{shape.size} x {shape.size} with {shape.channels}",
        )
    return shape


def _counting(what: str, total: int, progress: Progress) -> Callable[[int], None]:
    done = [0]

    def count(more: int) -> None:
        done[0] += more
        progress(what, done[0], total)

    return count


def _allocate(file: Path, number: int, shape: Shape) -> None:
    """Make a file with room for all images, so that a full disk is noticed here."""
    needed = number * shape.channels * shape.size**2
    if needed > MOST_BYTES:
        raise Refused(
            "--size", f"all images take {told(needed)}; allowed: {told(MOST_BYTES)}, a smaller size"
        )
    if 2 * needed > shutil.disk_usage(file.parent).free:
        raise OSError(errno.ENOSPC, f"{told(2 * needed)} are needed", str(file.parent))
    with file.open("wb") as sink:
        os.posix_fallocate(sink.fileno(), 0, needed)


def _write_part(
    place: Path, part: Part, incoming: Incoming, *, raw: Path, rows: IntArray, shape: Shape
) -> None:
    full = (len(incoming), shape.channels, shape.size, shape.size)
    images = np.memmap(raw, np.uint8, "r", shape=full)
    with (place / file_name(part, "images")).open("wb") as sink:
        head = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), *full[1:])}
        np.lib.format.write_array_header_1_0(sink, head)
        for start in range(0, len(rows), _AT_A_TIME):
            sink.write(np.ascontiguousarray(images[rows[start : start + _AT_A_TIME]]).data)
    true = incoming.labels if incoming.true_labels is None else incoming.true_labels
    np.save(place / file_name(part, "labels"), true[rows])
    if incoming.true_labels is not None and part == "train":
        np.save(place / file_name(part, "given-labels"), incoming.labels[rows])
    texts = [incoming.origin(int(row)).encode() for row in rows]
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    np.save(place / file_name(part, "origin-ends"), ends)
    np.save(place / file_name(part, "origins"), np.frombuffer(b"".join(texts), np.uint8))


def _facts(
    place: Path, train: Incoming, shape: Shape, *, chosen: Chosen, remarks: tuple[str, ...]
) -> Facts:
    smallest = min(chosen.train_counts)
    facts = Facts(
        channels=1 if shape.channels == 1 else 3,
        size=shape.size,
        class_names=train.class_names,
        train_counts=chosen.train_counts,
        test_counts=chosen.test_counts,
        held_out_per_class=max(1, min(MOST_HELD_OUT, smallest // HELD_OUT_SHARE)),
        knows_its_noise=train.true_labels is not None,
        fingerprint="",
        source=train.title,
        added_at=datetime.now(UTC).isoformat(timespec="seconds"),
        findings=remarks,
    )
    (place / FACTS).touch()
    print_of = content_digest(AddedDataset("staged", facts, place).load(place))
    return facts.model_copy(update={"fingerprint": print_of})


def remove(folder: Path, name: str) -> None:
    """Take a dataset away: first from sight, then from the disk.

    Raises:
        FileNotFoundError: There is none of the name.
    """
    place = folder / ADDED / name
    going = Path(tempfile.mkdtemp(prefix=_STAGED, dir=folder / ADDED)) / name
    try:
        place.rename(going)
    finally:
        shutil.rmtree(going.parent, ignore_errors=True)
