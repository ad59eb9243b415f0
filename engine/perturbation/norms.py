"""The norms of a threat model: how each draws, steers and projects inside its balls."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Self

from engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


NormName = Literal["linf", "l2"]
SAMPLE = (1, 2, 3)
"""The dimensions of one image in a batch."""


class Ball(ABC):
    """The images in [0, 1] that lie within each sample's own radius of its own image.

    Args:
        x: (B, channels, height, width) the centres, in [0, 1]; a normalised image that is not
            comes back clipped.
        epsilon: (B,) the radii in pixels, finite and not negative.

    """

    def __init__(self, x: Tensor, epsilon: Tensor) -> None:
        self.x, self.radius = x, epsilon.view(-1, 1, 1, 1)

    def take(self, rows: Tensor) -> Self:
        """Return the balls of some samples, by a mask (B,) or by positions."""
        chosen = copy.copy(self)
        for name, values in vars(self).items():
            setattr(chosen, name, values[rows])
        return chosen

    @abstractmethod
    def draw(self, generator: torch.Generator) -> Tensor:
        """Return a point of each ball, uniform over its volume; it may leave [0, 1]."""

    @staticmethod
    @abstractmethod
    def steepest(gradient: Tensor) -> Tensor:
        """Return the move of length 1 that climbs a linear loss fastest.

        Where the gradient is zero there is no such move, and this is zero.
        """

    @abstractmethod
    def clip(self, x_moved: Tensor) -> Tensor:
        """Bring images back into the ball, then into [0, 1].

        The second never undoes the first: the centre is in [0, 1], so no coordinate moves away
        from it.
        """

    @staticmethod
    @abstractmethod
    def widest(num_values: int) -> float:
        """Return the radius that holds every image of so many values, whatever the centre."""


class LinfBall(Ball):
    """No value of an image moves further than the radius."""

    def __init__(self, x: Tensor, epsilon: Tensor) -> None:
        super().__init__(x, epsilon)
        self.lower = (x - self.radius).clamp_(0, 1)
        self.upper = (x + self.radius).clamp_(0, 1)

    def draw(self, generator: torch.Generator) -> Tensor:
        noise = torch.empty_like(self.x).uniform_(-1, 1, generator=generator)
        return self.x + self.radius * noise

    @staticmethod
    def steepest(gradient: Tensor) -> Tensor:
        return gradient.sign()

    def clip(self, x_moved: Tensor) -> Tensor:
        return torch.clamp(x_moved, self.lower, self.upper)

    @staticmethod
    def widest(num_values: int) -> float:
        return 1.0


class L2Ball(Ball):
    """The square root of the sum of squared changes of an image is at most the radius."""

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw a direction, then a length: in d dimensions volume grows as its power of d."""
        noise = torch.empty_like(self.x).normal_(generator=generator)
        length = torch.empty_like(self.radius).uniform_(generator=generator)
        share = length.pow_(1 / self.x[0].numel())
        return self.x + self.radius * share * self.steepest(noise)

    @staticmethod
    def steepest(gradient: Tensor) -> Tensor:
        # Divided by the largest value first: squares of a small gradient vanish in float32.
        largest = gradient.abs().amax(dim=SAMPLE, keepdim=True)
        scaled = gradient / largest.clamp_(min=torch.finfo(gradient.dtype).tiny)
        return scaled.div_(_length(scaled).clamp_(min=1))

    def clip(self, x_moved: Tensor) -> Tensor:
        delta = x_moved - self.x
        tiny = torch.finfo(delta.dtype).tiny
        share = (self.radius / _length(delta).clamp_(min=tiny)).clamp_(max=1)
        return delta.mul_(share).add_(self.x).clamp_(0, 1)

    @staticmethod
    def widest(num_values: int) -> float:
        return math.sqrt(num_values)


def _length(delta: Tensor) -> Tensor:
    """(B, 1, 1, 1): l2 norm of each sample."""
    length: Tensor = torch.linalg.vector_norm(delta, dim=SAMPLE, keepdim=True)
    return length


BALLS: Mapping[NormName, type[Ball]] = {"linf": LinfBall, "l2": L2Ball}


LINF_EPSILON = 8 / 255
"""The radius in l-inf unless a scenario says otherwise."""


def default_epsilon(norm: NormName, channels: int, size: int) -> float:
    """Return the radius that a scenario has if it names none, in pixels of [0, 1].

    In l-inf it is 8/255 for every image. In l2 it is the radius that goes with it: 0.5 for images
    of 3 x 32 x 32 (the two of CIFAR-10 in RobustBench, Croce et al. 2021), and for images of
    another size what leaves the share of the widest ball as it is, 0.5 sqrt(n / 3072) for n values,
    to two digits. For 3 x 224 x 224 that is 3.5, where 3 is usual (Salman et al. 2020).
    """
    if norm == "linf":
        return LINF_EPSILON
    num_values = channels * size**2
    return float(f"{0.5 * math.sqrt(num_values / (3 * 32**2)):.2g}")


def require_within(distance: float, norm: NormName, num_values: int) -> None:
    """Refuse a radius or step that is longer than any two images are apart.

    Raises:
        ValueError: It is.
    """
    widest = BALLS[norm].widest(num_values)
    if distance > widest:
        raise ValueError(f"{distance:.6g} is not valid in {norm}; allowed: 0 to {widest:.6g}")
