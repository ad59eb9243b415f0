"""What the two protocols of CAAT share: a weighting network, class prices and their state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.learner import MetaLearner
from engine.meta.multipliers import ClassMultipliers
from engine.meta.prices import ClassPrices
from engine.methods.base import LearnedWeight, Learner, Method
from engine.types import under

if TYPE_CHECKING:
    from torch import Tensor, nn

SATURATED = 0.01
"""A weight this near to 0 or 1 passes on almost no gradient."""


def learned_weight(network: nn.Module) -> LearnedWeight:
    """Say what such a network gives: its second output is the anti-adversary weight as it is."""

    def weight(traits: Characteristics, crowd: Characteristics) -> Tensor:
        outputs: Tensor = network(traits, crowd)
        return outputs[:, 1]

    return LearnedWeight("anti_adversary_weight", network, weight)


class Weighting(Method):
    """A policy with a weighting network and class prices: what it says of them and keeps.

    Attributes:
        multipliers: Bounds by class are theirs.
        prices: Class weights are theirs; the multipliers themselves unless a scenario says so.
    """

    def __init__(
        self,
        learner: Learner,
        meta: MetaLearner,
        multipliers: ClassMultipliers,
        *,
        prices: ClassPrices | None = None,
    ) -> None:
        self.learner, self.meta, self.multipliers = learner, meta, multipliers
        self.prices = multipliers if prices is None else prices
        self.network = meta.network
        self._start_counting()

    def _start_counting(self) -> None:
        self._saturated: list[Tensor] = []
        self._gradient_norms: list[Tensor] = []

    def _count_saturated(self, alpha: Tensor) -> None:
        self._saturated.append(((alpha - 0.5).abs() > 0.5 - SATURATED).float().mean())

    def diagnostics(self) -> dict[str, float]:
        told = {"saturation_share": self._saturated, "meta_gradient_norm": self._gradient_norms}
        return {name: torch.stack(each).mean().item() for name, each in told.items() if each}

    def state(self) -> dict[str, Tensor]:
        state = {f"multipliers.{name}": v for name, v in self.multipliers.state().items()}
        if self.prices is not self.multipliers:
            state |= {f"prices.{name}": v for name, v in self.prices.state().items()}
        return self.meta.state() | state

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.meta.load_state(state)
        self.multipliers.load_state(under("multipliers.", state))
        if self.prices is not self.multipliers:
            self.prices.load_state(under("prices.", state))
