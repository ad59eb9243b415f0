"""Images that a person has in memory, and those of a dataset by its name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from engine.data.datasets.base import Dataset, datasets
from engine.errors import UserError
from engine.lazy import torch
from engine.types import ByteArray, ImageSet, IntArray

if TYPE_CHECKING:
    from torch import Tensor

Given: TypeAlias = "Images | tuple[Any, Any] | tuple[Any, Any, Any, Any]"
"""A data set, ``(x, y)`` to be tested on, or ``(x_train, y_train, x_test, y_test)``."""
ROOM = 1e-4
"""By how much a float image may leave [0, 1]: what a resize rounds."""
LEAST, MOST_HELD_OUT = 3, 20
"""Training images that a class needs, and those that each of the two held-out sets takes."""


def data_folder() -> Path:
    """Return where `caat` keeps datasets: ``CAAT_DATA_DIR``, else the folder of this user."""
    return Path(os.environ.get("CAAT_DATA_DIR") or "~/.caat-studio").expanduser() / "datasets"


@dataclass(frozen=True, eq=False)
class Images:
    """A data set: images of a training and of a test part, with their labels.

    Attributes:
        x_train: (N, channels, size, size) uint8; ``x_train / 255`` are floats in [0, 1].
        y_train: (N,) int64, from 0.
        x_test: (M, channels, size, size) uint8.
        y_test: (M,) int64.
        class_names: A name for each of the C classes.

    >>> from engine import load_data
    >>> data = load_data("digits")
    >>> tuple(data.x_train.shape), len(data.class_names)
    ((1437, 1, 8, 8), 10)
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    class_names: tuple[str, ...]


def load_data(name: str, folder: Path | None = None) -> Images:
    """Return a dataset by its name; ``engine.datasets.names()`` lists them.

    Args:
        name: Such as ``digits``, which is bundled, or ``cifar10``, which is downloaded once.
        folder: Where datasets are kept; by default where `caat` keeps them.

    Raises:
        UserError: There is no such dataset, or it cannot be fetched.

    >>> from engine import load_data
    >>> load_data("digits").y_test[:4].tolist()
    [1, 4, 8, 6]
    """
    known = datasets()
    if name not in known:
        raise UserError(f"data: {name!r} is unknown; choose {', '.join(known)}")
    train, test = known[name].load(folder or data_folder())
    x_train, y_train = torch.from_numpy(train.images), torch.from_numpy(train.labels)
    x_test, y_test = torch.from_numpy(test.images), torch.from_numpy(test.labels)
    return Images(x_train, y_train, x_test, y_test, known[name].class_names)


def images_of(data: Given) -> Images:
    """Return a data set of training and test part, checked; floats are rounded to bytes.

    Raises:
        UserError: Its arrays are no images and labels of one data set.
    """
    if not isinstance(data, Images):
        data = _unpacked(data)
    x_train, x_test = as_bytes("x_train", data.x_train), as_bytes("x_test", data.x_test)
    if x_train.shape[1:] != x_test.shape[1:]:
        told = f"{x_train.shape[1:]} and {x_test.shape[1:]}"
        raise UserError(f"data: images of x_train and x_test differ in shape, {told}")
    y_train = as_labels("y_train", data.y_train, len(x_train))
    y_test = as_labels("y_test", data.y_test, len(x_test))
    names = tuple(data.class_names) or tuple(map(str, range(int(y_train.max()) + 1)))
    for name, labels in (("y_train", y_train), ("y_test", y_test)):
        require_known(name, labels, names)
    train = torch.from_numpy(x_train), torch.from_numpy(y_train)
    return Images(*train, torch.from_numpy(x_test), torch.from_numpy(y_test), names)


def tested_on(data: Given) -> tuple[ImageSet, tuple[str, ...]]:
    """Return the images that a model is tested on, and the classes' names if they have any."""
    names: tuple[str, ...] = ()
    if isinstance(data, Images):
        x, y, names = data.x_test, data.y_test, tuple(data.class_names)
    elif isinstance(data, Sequence) and len(data) == 4:
        x, y = data[2], data[3]
    else:
        x, y = _pair(data)
    images = as_bytes("x", x)
    labels = as_labels("y", y, len(images))
    return ImageSet(images, labels, labels, np.arange(len(labels))), names


def as_bytes(name: str, x: Any) -> ByteArray:
    """Return images as (N, channels, size, size) uint8, from bytes or from floats in [0, 1].

    Raises:
        UserError: They are something else.
    """
    found = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
    found = found[:, None] if found.ndim == 3 else found
    _require_shape(name, found.shape)
    if found.dtype == np.uint8:
        return np.ascontiguousarray(found)
    if not np.issubdtype(found.dtype, np.floating):
        raise UserError(f"{name}: {found.dtype} is no kind of image; give uint8 or floats")
    low, high = float(found.min()), float(found.max())
    if not (low >= -ROOM and high <= 1 + ROOM):  # NaN is neither
        cure = f"divide {name} by 255" if 1 < high <= 255 and low >= 0 else "bring them into [0, 1]"
        raise UserError(f"{name}: floats from {low:g} to {high:g} are no images; {cure}")
    return np.clip(np.round(found * 255), 0, 255).astype(np.uint8)


def _require_shape(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 4 or not all(shape):
        asked = "(N, channels, size, size)"
        raise UserError(f"{name}: shape {shape} is no set of images; allowed: {asked}")
    if shape[3] in (1, 3) and shape[1] == shape[2]:
        cure = f"write {name}.permute(0, 3, 1, 2), or {name}.transpose(0, 3, 1, 2) in NumPy"
        raise UserError(f"{name}: shape {shape} has its channels last; {cure}")
    if shape[2] != shape[3]:
        raise UserError(f"{name}: images of {shape[2]} x {shape[3]} are not square; crop or pad")


def as_labels(name: str, y: Any, n: int) -> IntArray:
    """Return labels as (N,) int64.

    Raises:
        UserError: They are not whole numbers from 0, one for each image.
    """
    found = y.detach().cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
    if found.shape != (n,):
        raise UserError(f"{name}: shape {found.shape} does not go with {n} images; allowed: ({n},)")
    if not np.issubdtype(found.dtype, np.integer) or found.min() < 0:
        raise UserError(f"{name}: labels are not all whole numbers from 0; number the classes")
    return found.astype(np.int64)


def require_known(name: str, labels: IntArray, class_names: Sequence[str]) -> None:
    """Refuse a label that no class has.

    Raises:
        UserError: There is one; it is named with its row.
    """
    row = int(labels.argmax())
    if labels[row] >= len(class_names):
        told = f"label {labels[row]} of row {row} is no class"
        raise UserError(f"{name}: {told}; allowed: 0 to {len(class_names) - 1}")


def _pair(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, Sequence) or len(data) != 2:
        raise UserError("data: give (x, y), (x_train, y_train, x_test, y_test) or load_data(...)")
    return data[0], data[1]


def _unpacked(data: Any) -> Images:
    if not isinstance(data, Sequence) or isinstance(data, str) or len(data) != 4:
        asked = "(x_train, y_train, x_test, y_test)"
        raise UserError(f"data: give {asked}, or what load_data(...) returns")
    return Images(data[0], data[1], data[2], data[3], ())


class InMemory(Dataset):
    """A data set that was given in code, as a run sees a dataset. Its name tells its content."""

    def __init__(self, images: Images) -> None:
        self._train, self._test = (
            ImageSet(x.numpy(), y.numpy(), y.numpy(), np.arange(len(y)))
            for x, y in ((images.x_train, images.y_train), (images.x_test, images.y_test))
        )
        self.class_names = images.class_names
        self.train_counts, self.test_counts = (
            tuple(np.bincount(part.labels, minlength=len(self.class_names)).tolist())
            for part in (self._train, self._test)
        )
        rarest = int(np.argmin(self.train_counts))
        fewest = self.train_counts[rarest]
        if len(self.class_names) < 2:
            raise UserError("y_train: one class cannot be told apart; give at least two")
        if fewest < LEAST:
            told = f"class {self.class_names[rarest]!r} has {fewest} training images"
            raise UserError(f"y_train: {told}; a run needs {LEAST} of each")
        _, self.channels, self.size, _ = self._train.images.shape
        self.held_out_per_class = max(1, min(MOST_HELD_OUT, (fewest - 1) // 4))
        self.name = f"in-memory-{self._digest()}"
        self.title = f"In memory ({self.size} x {self.size})"

    def load(self, folder: Path) -> tuple[ImageSet, ImageSet]:
        return self._train, self._test

    def _digest(self) -> str:
        state = hashlib.sha256()
        for part in (self._train, self._test):
            state.update(np.ascontiguousarray(part.images).data)
            state.update(part.labels.data)
        return state.hexdigest()[:12]
