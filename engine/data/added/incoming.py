"""What a reader has found: which images there are, with their labels, before any is decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.data.datasets.base import Part
from engine.types import IntArray

Told = Callable[[int], object]


@dataclass(frozen=True)
class Shape:
    """Of every stored image."""

    channels: int
    size: int


class Incoming(ABC):
    """Images in the order of a source; the readers make them.

    Attributes:
        title: The name of the source, as messages have it.
        class_names: (C,).
        labels: (N,) given labels.
        true_labels: (N,); None where the labels given are the true ones.
        part: Which part a source itself gives all of them to; None where it does not say.
        remarks: What was noticed, and what is done about it.
    """

    title: str
    class_names: tuple[str, ...]
    labels: IntArray
    true_labels: IntArray | None = None
    remarks: list[str]
    can_be_resized: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def origin(self, index: int) -> str:
        """Say where an image comes from."""

    @abstractmethod
    def shape(self, size: int | None, told_done: Told) -> Shape:
        """Return what the stored images will be; pictures are looked at for it.

        Args:
            size: The side that is asked for.
            told_done: Is told how many images more were looked at.

        Raises:
            Refused: They cannot be stored so.
        """

    @abstractmethod
    def write(self, file: Path, shape: Shape, told_done: Told) -> None:
        """Write all images, (N, channels, size, size) bytes, into a file that has the room.

        Raises:
            Refused: An image is wrong.
        """


@dataclass(frozen=True)
class Parts:
    """What is to be added: the parts that the source itself has.

    Attributes:
        parts: ``train``, and ``test`` where the source says which images these are.
        remarks: What of the source is left out, and why.
    """

    parts: Mapping[Part, Incoming]
    remarks: tuple[str, ...] = field(default=())
