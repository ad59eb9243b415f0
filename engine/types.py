"""The shapes that travel through the engine.

Letters used in every docstring: B samples in a batch, N samples in a set, C classes; images are
(B, channels, height, width) in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from engine.mapped import MappedImages

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
Columns = dict[str, npt.NDArray[Any]]
"""Arrays over the same samples, by name."""
Start = Literal["uniform", "normal"]
"""The first guess of an attack: anywhere in the ball, or a small step from the image."""


@dataclass(frozen=True)
class ImageSet:
    """Labelled images, held as bytes.

    Attributes:
        images: (N, channels, height, width) uint8; an array, or rows of a mapped file.
        labels: (N,) int64, what training is told; noise is already in them.
        true_labels: (N,) int64, what the dataset says.
        source: (N,) int64, position of each image in the dataset's official part.
    """

    images: ByteArray | MappedImages
    labels: IntArray
    true_labels: IntArray
    source: IntArray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: IntArray) -> ImageSet:
        images = self.images
        taken = images[index] if isinstance(images, np.ndarray) else images.take(index)
        return ImageSet(taken, self.labels[index], self.true_labels[index], self.source[index])

    def followed_by(self, other: ImageSet) -> ImageSet:
        """Return both sets as one, the other's images last."""
        return ImageSet(
            _joined(self.images, other.images),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.true_labels, other.true_labels]),
            np.concatenate([self.source, other.source]),
        )

    def to(self, device: torch.device) -> DeviceImages:
        """Return the set as tensors on a device, still as bytes.

        Images of a mapped file stay in it where the device is the CPU.
        """
        labels = torch.from_numpy(self.labels).to(device)
        if isinstance(self.images, np.ndarray):
            return DeviceImages(torch.from_numpy(self.images).to(device), labels)
        if device.type == "cpu":
            stored, rows = self.images.stored, torch.from_numpy(self.images.rows)
            return DeviceImages(torch.from_numpy(stored), labels, rows)
        return DeviceImages(self.images.copied_to(device), labels)


def _joined(
    one: ByteArray | MappedImages, other: ByteArray | MappedImages
) -> ByteArray | MappedImages:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.concatenate([np.asarray(one), np.asarray(other)])
    return one.followed_by(other)


@dataclass(frozen=True)
class Batch:
    """Some samples of a set, on the device.

    Attributes:
        x: (B, channels, height, width) in [0, 1].
        y: (B,) given labels.
        index: (B,) position of each sample in its set.
        soft: (B, C) distribution that losses are taken against; None is the label.
    """

    x: Tensor
    y: Tensor
    index: Tensor
    soft: Tensor | None = None

    @property
    def target(self) -> Tensor:
        """What losses are taken against: labels (B,) or distributions (B, C)."""
        return self.y if self.soft is None else self.soft

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class DeviceImages:
    """An `ImageSet` on the device that batches are made on.

    Attributes:
        images: (M, channels, height, width) uint8.
        labels: (N,).
        rows: (N,) which of the images they are; None is all, in order.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor) -> Batch:
        """Return the samples at positions index (B,), as floats in [0, 1]."""
        stored = index if self.rows is None else self.rows[index]
        return Batch(self.images[stored].float().div_(255), self.labels[index], index)


@dataclass(frozen=True)
class Assignment:
    """What a method decided for each sample of a batch: the centre of the engine.

    The loss of a batch is ``mean_i(c_i CE(f(x_i), y_i) + a_i l_adv(x_i, x_i+; bound_i)
    + b_i CE(f(x_i-), y_i))``.

    Attributes:
        clean: (B,) c_i, weight of the unperturbed image.
        adversary: (B,) a_i, weight of the worst-case copy x+.
        anti_adversary: (B,) b_i, weight of the best-case copy x-.
        bound: (B,) radius of the ball that holds both copies, in pixels.
        step: (B,) step of the attack in that ball, in pixels; None is the threat model's.
        probability: (B,) 0 to 1, chance that a sample gets its adversary and not its
            anti-adversary this time; None gives it both.
        direction: (B,) bool, whether it gets its adversary this time, where the method itself has
            drawn that with ``probability``; None leaves the draw to the attack.
        target: (B,) class that a sample's adversary walks towards, descending CE(f(x'), target); -1
            where it climbs the objective's loss, and None where all do.
    """

    clean: Tensor
    adversary: Tensor
    anti_adversary: Tensor
    bound: Tensor
    step: Tensor | None = None
    probability: Tensor | None = None
    direction: Tensor | None = None
    target: Tensor | None = None

    @property
    def weights(self) -> Tensor:
        """(B, 3): the columns c, a, b."""
        return torch.stack([self.clean, self.adversary, self.anti_adversary], dim=1)

    @property
    def walk(self) -> dict[str, Tensor | None]:
        """What the training attack is told besides the bound, by the names it has there."""
        return {
            "step": self.step,
            "probability": self.probability,
            "direction": self.direction,
            "target": self.target,
        }


@dataclass(frozen=True)
class Draw:
    """Which of its two copies each sample got, and what that copy's loss counts for.

    Dividing by the chance of the draw leaves the expected loss, and so the expected gradient, what
    it is with both copies. A copy that has no chance has no share in either.

    Attributes:
        is_adversary: (B,) bool.
        probability: (B,) chance of the adversary, 0 to 1.
    """

    is_adversary: Tensor
    probability: Tensor

    @property
    def scales(self) -> tuple[Tensor, Tensor]:
        """(B,) each: the factor of l_adv, 1[adversary] / p, and of CE(f(x-), y), the other."""
        drawn, chance = self.is_adversary.to(self.probability.dtype), self.probability
        # A chance below the last bit of 1 is that bit: such a draw never comes, but 0 / 0 would.
        last = torch.finfo(chance.dtype).eps
        return drawn / chance.clamp_min(last), (1 - drawn) / (1 - chance).clamp_min(last)


@dataclass(frozen=True)
class Copies:
    """The perturbed copies of a batch; None where the method does not use one.

    With a draw, ``adversary`` holds the one copy that each sample got, of either kind.

    Attributes:
        withstood: (B,) steps of the adversary before which the model still saw the given label, 0
            to the number of steps; None where nobody counted.
    """

    adversary: Tensor | None
    anti_adversary: Tensor | None
    draw: Draw | None = None
    withstood: Tensor | None = None


def rows_by_class(labels: IntArray, num_classes: int) -> list[IntArray]:
    """Return the positions of each class's samples, ascending, in one pass over labels (N,)."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, num_classes)))


def one_hot(y: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """Return (B, C): 1 in the column of each label of y (B,), else 0.

    Unlike torch's own it asks no label for its value, so that a device need not be waited for.
    """
    return (y[:, None] == torch.arange(num_classes, device=y.device)).to(dtype)


def under(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the entries whose names start with a prefix, without it."""
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
