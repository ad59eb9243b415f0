"""How the three terms of CAAT's loss weigh, from a sample's alpha and the prices of its class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.lazy import torch
from engine.meta.prices import ClassPrices

if TYPE_CHECKING:
    from torch import Tensor

LEAST_MEAN = 0.05
"""The adversary side is never divided by less: 20 times its weight at most."""


def class_weights(prices: ClassPrices, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return w0 and w1 of labels y (B,), (B,) each."""
    w0, w1 = prices.natural_weights(), prices.boundary_weights()
    # A weight may underflow to 0, and so would the mean that a batch of its class divides by.
    least = torch.finfo(w0.dtype).eps
    return w0.clamp_min(least)[y], w1.clamp_min(least)[y]


@dataclass(frozen=True)
class Combination:
    """c = alpha w0, a = beta alpha w1, b = 1 - alpha, over batch means of alpha, w0 and w1.

    Attributes:
        prices: w0 and w1, by class.
        beta: Weight of the adversary's KL term.
        normalise: Whether alpha is divided by its batch mean on the adversary side.
        normalise_prices: Whether w0 and w1 are divided by theirs, or by what all classes are about.
    """

    prices: ClassPrices
    beta: float
    normalise: bool
    normalise_prices: bool

    def weights(self, y: Tensor, alpha: Tensor) -> Tensor:
        """Return (B, 3): c, a and b, from labels and alpha (B,), differentiable in alpha."""
        w0, w1 = class_weights(self.prices, y)
        # The scale is a constant to the network: with its gradient, every alpha could fall together
        # at no cost, and would.
        scale = alpha.detach().mean().clamp_min(LEAST_MEAN) if self.normalise else 1.0
        adversary_side = alpha / scale
        return torch.stack(
            [
                adversary_side * w0 / self._mean_price(w0),
                self.beta * adversary_side * w1 / self._mean_price(w1),
                1 - alpha,
            ],
            dim=1,
        )

    def _mean_price(self, weights: Tensor) -> Tensor | float:
        return weights.mean() if self.normalise_prices else self.prices.unit
