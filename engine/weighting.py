"""What the two protocols of CAAT share: a weighting network, class multipliers and their state."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.characteristics import Characteristics, standardised
from engine.fairness import ClassMultipliers
from engine.meta import MetaLearner
from engine.method import LearnedWeight, Learner, Method
from engine.types import Batch, under

ON_ADVERSARY_SIDE = 2.0
"""Where the corrected network's last bias starts: alpha is about 0.88 for every sample."""
SATURATED = 0.01
"""A weight this near to 0 or 1 passes on almost no gradient."""


class WeightingNetwork(nn.Module):
    """Omega: from six characteristics to (alpha, beta), (B, 2), whose sum is 1."""

    def __init__(self, hidden: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.hidden = nn.Linear(6, hidden)
        self.last = nn.Linear(hidden, 2)
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor([ON_ADVERSARY_SIDE, 0.0]))

    def forward(self, traits: Characteristics, crowd: Characteristics | None = None) -> Tensor:
        normed = standardised(traits.table(), None if crowd is None else crowd.table())
        logits: Tensor = self.last(F.relu(self.hidden(normed)))
        return (logits / self.temperature).softmax(dim=1)


class ReleasedNetwork(nn.Module):
    """Omega as released: with a whole batch norm before the first layer, and torch's own start.

    That batch norm needs no running statistics: the released network never leaves train mode.
    """

    def __init__(self, hidden: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.gain, self.shift = nn.Parameter(torch.ones(6)), nn.Parameter(torch.zeros(6))
        self.hidden = nn.Linear(6, hidden)
        self.last = nn.Linear(hidden, 2)

    def forward(self, traits: Characteristics, crowd: Characteristics | None = None) -> Tensor:
        others = None if crowd is None else _with_negative_entropy(crowd)
        normed = self.gain * standardised(_with_negative_entropy(traits), others) + self.shift
        logits: Tensor = self.last(F.relu(self.hidden(normed)))
        return (logits / self.temperature).softmax(dim=1)


def _with_negative_entropy(traits: Characteristics) -> Tensor:
    """(B, 6): the released uncertainty is the negative entropy."""
    return replace(traits, entropy=-traits.entropy).table()


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
