"""What the two protocols of CAAT share: a weighting network, class multipliers and their state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.learner import MetaLearner
from engine.meta.multipliers import ClassMultipliers
from engine.methods.base import LearnedWeight, Learner, Method
from engine.types import Batch, under

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
    """A policy with a weighting network and class multipliers: what it says of them and keeps."""

    def __init__(self, learner: Learner, meta: MetaLearner, multipliers: ClassMultipliers) -> None:
        self.learner, self.meta, self.multipliers = learner, meta, multipliers
        self.network = meta.network
        self._start_counting()

    def _start_counting(self) -> None:
        self._saturated: list[Tensor] = []
        self._gradient_norms: list[Tensor] = []

    def _count_saturated(self, alpha: Tensor) -> None:
        self._saturated.append(((alpha - 0.5).abs() > 0.5 - SATURATED).float().mean())

    def _class_weights(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return w0 and w1 of the labels of a batch, (B,) each."""
        w0 = self.multipliers.natural_weights().to(batch.y.device)
        w1 = self.multipliers.boundary_weights().to(batch.y.device)
        return w0[batch.y], w1[batch.y]

    def diagnostics(self) -> dict[str, float]:
        told = {"saturation_share": self._saturated, "meta_gradient_norm": self._gradient_norms}
        return {name: torch.stack(each).mean().item() for name, each in told.items() if each}

    def state(self) -> dict[str, Tensor]:
        prices = {f"multipliers.{name}": v for name, v in self.multipliers.state().items()}
        return self.meta.state() | prices

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.meta.load_state(state)
        self.multipliers.load_state(under("multipliers.", state))
