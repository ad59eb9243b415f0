"""Images as files: folders named as their class, or a list of paths and labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from engine.data.added.archive import unsafe
from engine.data.added.children import Canvas, Order, look_at
from engine.data.added.incoming import Incoming, Parts, Shape, Told
from engine.data.added.limits import (
    LARGEST_SIDE,
    MOST_IMAGES,
    SMALLEST_SIDE,
    USUAL_SIDE,
)
from engine.data.added.names import class_names, in_order
from engine.data.added.refusal import Refused
from engine.data.added.trees import Folder, Tree, read_list
from engine.data.datasets.base import Part

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
LIST = "labels.csv"
_AT_A_TIME = 32
_TEST, _TRAIN = ("test",), ("train", "training")
_OTHER = ("val", "valid", "validation")


@dataclass(frozen=True)
class Picture:
    """One image file: its name, its label in words, and where a child finds it."""

    name: str
    label: str
    place: dict[str, Any]


class Pictures(Incoming):
    """Image files, which are opened in child processes only."""

    can_be_resized = True
    needs_arrow = False

    def __init__(self, title: str, found: Sequence[Picture], names: tuple[str, ...]) -> None:
        self.title, self.found, self.class_names, self.remarks = title, found, names, []
        if not 0 < len(found) <= MOST_IMAGES:
            raise Refused(title, f"has {len(found):,} images; allowed: 1 to {MOST_IMAGES:,}")
        number = {name: index for index, name in enumerate(names)}
        for one in found:
            if one.label not in number:
                raise Refused(f"{title}, {one.name}", f"is of {one.label!r}, no class of training")
        self.labels = np.array([number[one.label] for one in found], dtype=np.int64)

    def origin(self, index: int) -> str:
        return self.found[index].name

    def where(self, row: int) -> str:
        """Say in a message where an image is."""
        return f"{self.title}, {self.found[row].name}"

    def shape(self, size: int | None, told_done: Told) -> Shape:
        found = look_at(self.orders(), self.where, told_done, arrow=self.needs_arrow)
        return shape_of(found, size, self.remarks)

    def write(self, file: Path, shape: Shape, told_done: Told) -> None:
        canvas = Canvas(file, shape.channels, shape.size)
        look_at(self.orders(), self.where, told_done, canvas=canvas, arrow=self.needs_arrow)

    def orders(self) -> list[Order]:
        rows = range(len(self.found))
        pieces = [rows[start : start + _AT_A_TIME] for start in rows[::_AT_A_TIME]]
        return [
            Order(piece, {"items": [(row, self.found[row].place) for row in piece]})
            for piece in pieces
        ]


def shape_of(found: Sequence[Any], size: int | None, remarks: list[str]) -> Shape:
    """Return what images become, of what the children have seen of each (`decode.seen`)."""
    sides, grey, turned, clear, wide = np.array(found, dtype=np.int64).T
    if size is None:
        size = int(np.clip(np.median(sides), SMALLEST_SIDE, USUAL_SIDE))
    elif not SMALLEST_SIDE <= size <= LARGEST_SIDE:
        raise Refused("--size", f"{size} is not valid; allowed: {SMALLEST_SIDE} to {LARGEST_SIDE}")
    resized = int((sides != size).sum())
    colours = bool((grey == 0).any())
    for number, what in (
        (resized, f"of another size than {size} x {size}: resized"),
        (int(wide.sum()), "not square: the middle is kept"),
        (int(turned.sum()), "turned by their camera: set upright"),
        (int(clear.sum()), "see-through in places: laid on white"),
        (int(grey.sum()) if colours else 0, "grey among coloured ones: kept as coloured ones"),
    ):
        if number:
            remarks.append(f"{number:,} of {len(found):,} images are {what}")
    return Shape(3 if colours else 1, size)


def read_tree(tree: Tree) -> Parts:
    """Return the images of a folder of class folders, or of one with a list ``labels.csv``.

    ``train`` and ``test`` above the class folders are the parts.

    Raises:
        Refused: It holds something else.
    """
    if LIST in tree.names:
        return _from_list(tree, tree.text(LIST), f"{tree.title}, {LIST}")
    tops = {name.partition("/")[0] for name in tree.names}
    by_part = tops & {*_TRAIN} and tops <= {*_TRAIN, *_TEST, *_OTHER}
    held: dict[str, list[Picture]] = {"train": [], "test": [], "other": []}
    left: list[str] = []
    for name in tree.names:
        if not name.lower().endswith(ENDINGS):
            left.append(name)
            continue
        part, inner = _part_of(name) if by_part else ("train", name)
        label, _, rest = inner.partition("/")
        if not rest:
            raise Refused(f"{tree.title}, {name}", "stands in no folder that is named as its class")
        held[part].append(Picture(name, label, tree.place(name)))
    _require_apart_by_more_than_case(tree)
    return _parts(tree.title, held, _left_out(tree.title, left, held["other"]))


def _part_of(name: str) -> tuple[str, str]:
    top, _, inner = name.partition("/")
    return ("train" if top in _TRAIN else "test" if top in _TEST else "other"), inner


def _require_apart_by_more_than_case(tree: Tree) -> None:
    seen: dict[str, str] = {}
    for name in tree.names:
        for folder in map(str, PurePosixPath(name).parents):
            twin = seen.setdefault(folder.casefold(), folder)
            if twin != folder:
                raise Refused(
                    f"{tree.title}, {folder}", f"differs from {twin} in upper and lower case only"
                )


def _left_out(title: str, left: list[str], other: list[Picture]) -> tuple[str, ...]:
    told = []
    if left:
        some = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
        told.append(f"{title}: {len(left):,} files are left out, as no PNG, JPEG or WebP: {some}")
    if other:
        told.append(f"{title}: {len(other):,} validation images are left out")
    return tuple(told)


def _parts(title: str, held: dict[str, list[Picture]], remarks: tuple[str, ...]) -> Parts:
    names = class_names(in_order(one.label for one in held["train"]), title)
    parts: dict[Part, Incoming] = {"train": Pictures(title, held["train"], names)}
    if held["test"]:
        parts["test"] = Pictures(title, held["test"], names)
    return Parts(parts, remarks)


def read_csv(file: Path) -> Parts:
    """Return the images of a list with the columns path and label; paths are from its folder on.

    Raises:
        Refused: The list, or a path in it, cannot be used.
    """
    return _from_list(_Beside(file), read_list(file), file.name)


class _Beside(Folder):
    """The folder of a list, of which only what is listed is looked at."""

    def __init__(self, file: Path) -> None:
        self.root, self.title = file.absolute().parent, file.name
        self._real = self.root.resolve()

    def place(self, name: str) -> dict[str, Any]:
        path = self.root / name
        if not path.resolve().is_relative_to(self._real):
            raise ValueError("leads out of the folder by a link; put the file itself there")
        return super().place(name)


def _from_list(tree: Tree, data: bytes, where: str) -> Parts:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(where, "is no text in UTF-8; save it as UTF-8") from None
    found: list[Picture] = []
    seen: dict[str, int] = {}
    for number, name, label in _lines(text, where):
        line = f"{where}, line {number}"
        found.append(_listed(tree, name, label, line=line))
        twin = seen.setdefault(name, number)
        if twin != number:
            raise Refused(line, f"lists {name} again, which line {twin} does already")
        if len(found) > MOST_IMAGES:
            raise Refused(where, f"lists more than {MOST_IMAGES:,} images")
    names = class_names(in_order(one.label for one in found), where)
    return Parts({"train": Pictures(tree.title, found, names)})


def _lines(text: str, where: str) -> Iterator[tuple[int, str, str]]:
    """Yield number, path and label of each line of a list."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(rows, [])]
        if not {"path", "label"} <= {*header} or len({*header}) < len(header):
            raise Refused(f"{where}, line 1", "names no columns path and label")
        for cells in filter(None, rows):
            line = f"{where}, line {rows.line_num}"
            if len(cells) != len(header):
                raise Refused(line, f"has {len(cells)} cells; the first line has {len(header)}")
            row = dict(zip(header, cells, strict=True))
            yield rows.line_num, row["path"].strip(), row["label"].strip()
    except csv.Error as error:
        raise Refused(f"{where}, line {rows.line_num}", f"is no line of CSV ({error})") from None


def _listed(tree: Tree, name: str, label: str, *, line: str) -> Picture:
    why = unsafe(name)
    if why is None and not name.lower().endswith(ENDINGS):
        why = "is no PNG, JPEG or WebP by its name"
    if why is not None:
        raise Refused(f"{line}, {name[:200]!r}", why)
    if not label:
        raise Refused(line, "has no label")
    try:
        return Picture(name, label, tree.place(name))
    except KeyError:
        raise Refused(f"{line}, {name}", "is not in the archive") from None
    except ValueError as error:
        raise Refused(f"{line}, {name}", str(error)) from None
