"""The networks that give each sample its weights."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.meta.characteristics import NAMES, Characteristics, standardised

ON_ADVERSARY_SIDE = 2.0
"""Where the last bias starts, in temperatures: alpha, the adversary's chance, is 0.88."""


class WeightingNetwork(nn.Module):
    """Omega: from six characteristics to (alpha, beta), (B, 2), whose sum is 1.

    Args:
        hidden: Units of the hidden layer.
        temperature: Of the softmax.
        num_inputs: Columns of the table that it reads.
        strength: Whether a third output says how much a sample weighs, 0 to 2; 1 at first.
    """

    def __init__(
        self,
        hidden: int,
        temperature: float,
        *,
        num_inputs: int = len(NAMES),
        strength: bool = False,
    ) -> None:
        super().__init__()
        self.temperature, self.has_strength = temperature, strength
        self.hidden = nn.Linear(num_inputs, hidden)
        self.last = nn.Linear(hidden, 3 if strength else 2)
        with torch.no_grad():
            # The softmax divides by the temperature: a fixed bias would saturate at a low one.
            self.last.bias.zero_()
            self.last.bias[0] = ON_ADVERSARY_SIDE * temperature
            self.last.weight[2:].zero_()

    def forward(self, traits: Characteristics, crowd: Characteristics | None = None) -> Tensor:
        return self.read(standardised(traits.table(), None if crowd is None else crowd.table()))[0]

    def read(self, table: Tensor) -> tuple[Tensor, Tensor]:
        """Return (alpha, beta), (B, 2), and the strength, (B,), of standardised inputs (B, K)."""
        logits: Tensor = self.last(F.relu(self.hidden(table)))
        shares = (logits[:, :2] / self.temperature).softmax(dim=1)
        if not self.has_strength:
            return shares, torch.ones_like(shares[:, 0])
        return shares, 2 * logits[:, 2].sigmoid()


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


class PolicyNetwork(nn.Module):
    """From six characteristics to logits of 2 K actions, (B, 2 K): adversaries first."""

    def __init__(self, hidden: int, num_levels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(6, hidden)
        self.last = nn.Linear(hidden, 2 * num_levels)
        with torch.no_grad():
            self.last.bias.zero_()
            self.last.bias[:num_levels] = ON_ADVERSARY_SIDE

    def forward(self, traits: Characteristics, crowd: Characteristics | None = None) -> Tensor:
        normed = standardised(traits.table(), None if crowd is None else crowd.table())
        logits: Tensor = self.last(F.relu(self.hidden(normed)))
        return logits


class WeightNetwork(nn.Module):
    """V: from losses (B,) to weights (B,) in (0, 1)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(1, hidden)
        self.last = nn.Linear(hidden, 1)

    def forward(self, loss: Tensor) -> Tensor:
        logit: Tensor = self.last(F.relu(self.hidden(loss[:, None])))
        return logit.sigmoid().squeeze(1)
