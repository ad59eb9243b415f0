"""Images as arrays: ``.npz`` with x and y, as numpy.savez writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.added.archive import Entry, Unpacked, entries
from engine.data.added.incoming import Incoming, Parts, Shape, Told
from engine.data.added.limits import LARGEST_SIDE, MOST_CLASSES, MOST_IMAGES, SMALLEST_SIDE
from engine.data.added.names import class_names, numbered
from engine.data.added.npy import Header, read_header, read_rows, read_whole
from engine.data.added.refusal import Refused
from engine.data.datasets.base import Part
from engine.types import ByteArray, IntArray

_WHAT = {
    "x": ("x", "images"),
    "y": ("y", "labels"),
    "true": ("true_labels", "y_true"),
}
_NAMES = ("names", "class_names", "label_names")


class Arrays(Incoming):
    """One array of images and one of labels."""

    def __init__(
        self, file: Path, held: Mapping[str, Entry], names: tuple[str, ...] | None
    ) -> None:
        self.title, self.file, self.remarks = file.name, file, []
        for what in ("x", "y"):
            if what not in held:
                raise Refused(file.name, f"has no array {what}; allowed: x, y and, if known, names")
        self.images = held["x"]
        self.header = self._header(self.images)
        self._layout = _layout(self.header, self._where(self.images))
        n = self.header.shape[0]
        if not 0 < n <= MOST_IMAGES:
            raise Refused(file.name, f"has {n:,} images; allowed: 1 to {MOST_IMAGES:,}")
        self.labels = self._labels(held["y"], n)
        if "true" in held:
            self.true_labels = self._labels(held["true"], n)
        self.class_names = names or numbered(self._number_of_classes(), file.name)
        self._require_within()

    def origin(self, index: int) -> str:
        return f"{self.title}, row {index}"

    def shape(self, size: int | None, told_done: Told) -> Shape:
        channels, side = self._layout[1:]
        if size not in (None, side):
            raise Refused("--size", f"arrays are kept as they are, {side} x {side}; leave it out")
        told_done(len(self))
        return Shape(channels, side)

    def write(self, file: Path, shape: Shape, told_done: Told) -> None:
        where = self._where(self.images)
        source = Unpacked(self.file, self.images)
        try:
            read_header(source, where, self.images.size)
            done = 0
            with file.open("r+b") as sink:
                for rows in read_rows(source, self.header, where):
                    sink.write(self._bytes(rows, done, where).data)
                    done += len(rows)
                    told_done(len(rows))
        finally:
            source.close()

    def _bytes(self, rows: npt.NDArray[Any], first: int, where: str) -> ByteArray:
        """Return rows as bytes, channels first."""
        if rows.dtype.kind == "f":
            rows = _from_floats(rows, first, where)
        if self._layout[0] == "NHW":
            rows = rows[:, None]
        elif self._layout[0] == "NHWC":
            rows = rows.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(rows)

    def _where(self, entry: Entry) -> str:
        return f"{self.title}, {entry.name}"

    def _header(self, entry: Entry) -> Header:
        source = Unpacked(self.file, entry)
        try:
            return read_header(source, self._where(entry), entry.size)
        finally:
            source.close()

    def _labels(self, entry: Entry, n: int) -> IntArray:
        where = self._where(entry)
        header = self._header(entry)
        if header.dtype.kind not in "ui":
            raise Refused(
                where, f"holds {header.dtype}; labels are whole numbers, 0 to classes - 1"
            )
        if header.shape not in ((n,), (n, 1)):
            has = " x ".join(map(str, header.shape))
            raise Refused(where, f"has the shape {has} with {n:,} images; allowed: {n:,}")
        source = Unpacked(self.file, entry)
        try:
            read_header(source, where, entry.size)
            found = read_whole(source, header, where).reshape(n)
        finally:
            source.close()
        wrong = np.flatnonzero((found < 0) | (found >= MOST_CLASSES))
        if len(wrong):
            row = wrong[0]
            raise Refused(
                f"{where}, row {row}",
                f"is {found[row]}; labels are 0 to {MOST_CLASSES - 1} at most",
            )
        return found.astype(np.int64)

    def _number_of_classes(self) -> int:
        most = int(self.labels.max())
        return 1 + (most if self.true_labels is None else max(most, int(self.true_labels.max())))

    def _require_within(self) -> None:
        for what, labels in (("y", self.labels), ("true_labels", self.true_labels)):
            if labels is None:
                continue
            wrong = np.flatnonzero(labels >= len(self.class_names))
            if len(wrong):
                raise Refused(
                    f"{self.title}, {what}, row {wrong[0]}",
                    f"is {labels[wrong[0]]}; {len(self.class_names)} names allow 0 to "
                    f"{len(self.class_names) - 1}",
                )


def read_npz(file: Path) -> Parts:
    """Return what an ``.npz`` holds: x and y, or x_train, y_train, x_test and y_test.

    Raises:
        Refused: It holds something else.
    """
    found = {entry.name: entry for entry in entries(file)}
    names = _names(file, found)
    held: dict[Part, dict[str, Entry]] = {"train": {}, "test": {}}
    left = []
    for name, entry in found.items():
        place = _place(name)
        if place is None:
            left += [] if name.removesuffix(".npy") in _NAMES else [name]
        else:
            held[place[0]][place[1]] = entry
    parts: dict[Part, Incoming] = {"train": Arrays(file, held["train"], names)}
    if held["test"]:
        own = names or parts["train"].class_names
        parts["test"] = Arrays(file, held["test"], own)
    told = f"{file.name}: {', '.join(sorted(left)[:5])} of it is not used"
    return Parts(parts, (told,) if left else ())


def _place(name: str) -> tuple[Part, str] | None:
    """Return which part and what of it a member is."""
    word = name.removesuffix(".npy")
    for what, words in _WHAT.items():
        for one in words:
            if word in (one, f"{one}_train", f"train_{one}"):
                return "train", what
            if word in (f"{one}_test", f"test_{one}"):
                return "test", what
    return None


def _names(file: Path, found: Mapping[str, Entry]) -> tuple[str, ...] | None:
    entry = next((found[f"{name}.npy"] for name in _NAMES if f"{name}.npy" in found), None)
    if entry is None:
        return None
    where = f"{file.name}, {entry.name}"
    source = Unpacked(file, entry)
    try:
        header = read_header(source, where, entry.size)
        if header.dtype.kind not in "US" or len(header.shape) != 1:
            raise Refused(where, f"holds {header.dtype}; names are a list of text")
        if header.shape[0] > MOST_CLASSES or header.num_bytes > 2**23:
            raise Refused(where, f"has {header.shape[0]:,} names; allowed: {MOST_CLASSES:,}")
        texts = _decoded(read_whole(source, header, where), where)
    finally:
        source.close()
    return class_names(texts, where)


def _decoded(names: npt.NDArray[Any], where: str) -> list[str]:
    """Return text that NumPy keeps as UTF-32 or as bytes; it would trust that it is such text."""
    swapped = names.dtype.byteorder == ">"
    utf32 = "utf-32-be" if swapped else "utf-32-le"
    encoding = "utf-8" if names.dtype.kind == "S" else utf32
    data, size = names.tobytes(), names.dtype.itemsize
    found = []
    try:
        for start in range(0, len(data), max(size, 1)):
            text = data[start : start + size].decode(encoding)
            found.append(text.rstrip("\0"))
    except UnicodeDecodeError:
        raise Refused(where, "holds a name that is no text in UTF-8") from None
    return found


def _layout(header: Header, where: str) -> tuple[str, int, int]:
    """Return the order of the axes, the channels and the side."""
    shape, kind = header.shape, header.dtype
    if kind != np.uint8 and kind.kind != "f":
        raise Refused(where, f"holds {kind}; images are uint8, or floats in [0, 1]")
    found = None
    match shape:
        case (_, h, w):
            found = "NHW", 1, h, w
        case (_, h, w, (1 | 3) as c):
            found = "NHWC", c, h, w
        case (_, (1 | 3) as c, h, w):
            found = "NCHW", c, h, w
    if found is None:
        has = " x ".join(map(str, shape)) or "no shape"
        raise Refused(
            where,
            f"has the shape {has}; allowed: N x H x W, N x H x W x C or N x C x H x W, C 1 or 3",
        )
    order, channels, height, width = found
    if height != width or not SMALLEST_SIDE <= height <= LARGEST_SIDE:
        raise Refused(
            where,
            f"has images of {height:,} x {width:,}; allowed: square ones, {SMALLEST_SIDE} to "
            f"{LARGEST_SIDE}",
        )
    return order, channels, height


def _from_floats(rows: npt.NDArray[Any], first: int, where: str) -> ByteArray:
    wrong = ~((rows >= 0) & (rows <= 1))  # NaN is neither
    if wrong.any():
        row = int(np.flatnonzero(wrong.reshape(len(rows), -1).any(axis=1))[0])
        value = rows[row][wrong[row]].flat[0]
        raise Refused(
            f"{where}, row {first + row}", f"holds {value:g}; floats are in [0, 1], or give uint8"
        )
    found: ByteArray = np.round(rows * rows.dtype.type(255)).astype(np.uint8)
    return found
