"""What a weighting network is shown of a sample beside the six characteristics as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from engine.lazy import torch
from engine.meta.characteristics import NAMES, Characteristics, standardised
from engine.types import Batch, one_hot, under

if TYPE_CHECKING:
    from torch import Tensor

Crowd: TypeAlias = Literal["batch", "class"]
OF_CLASS = [NAMES.index("class_loss"), NAMES.index("class_proportion")]
"""Characteristics that all samples of a class share."""


class ClassMoments:
    """Mean and deviation of what is read of each class over the epoch before.

    Attributes:
        mean, deviation: (C, K) of K inputs.
        known: (C,) whether the class was seen in an epoch that has ended.
        count, total, squares: (C,) and (C, K) of the epoch that goes on.
    """

    def __init__(self, num_classes: int, num_inputs: int, device: torch.device) -> None:
        shape = (num_classes, num_inputs)
        self.mean = torch.zeros(shape, device=device)
        self.deviation = torch.ones(shape, device=device)
        self.known = torch.zeros(num_classes, dtype=torch.bool, device=device)
        self._begin()

    def _begin(self) -> None:
        self.count = torch.zeros(len(self.known), device=self.known.device)
        self.total, self.squares = torch.zeros_like(self.mean), torch.zeros_like(self.mean)

    def add(self, table: Tensor, y: Tensor) -> None:
        """Take in the inputs (B, K) of samples with labels y (B,)."""
        member = one_hot(y, len(self.known), table.dtype)
        self.count = self.count + member.sum(dim=0)
        self.total = self.total + member.T @ table
        self.squares = self.squares + member.T @ table.square()

    def start_epoch(self) -> None:
        """Put the epoch that ended in force; a class without samples in it keeps its moments."""
        seen = self.count > 0
        count = self.count.clamp_min(1)[:, None]
        mean = self.total / count
        variance = (self.squares / count - mean.square()).clamp_min(0)
        self.mean = torch.where(seen[:, None], mean, self.mean)
        self.deviation = torch.where(seen[:, None], (variance + 1e-5).sqrt(), self.deviation)
        self.known = self.known | seen
        self._begin()

    def relative(self, table: Tensor, y: Tensor) -> Tensor:
        """Return the table (B, K) in deviations from the mean of each sample's class.

        What a class's samples share is 0. Of a class that is not known yet the batch stands in.
        """
        within = (table - self.mean[y]) / self.deviation[y]
        found = torch.where(self.known[y][:, None], within, standardised(table))
        shared = torch.zeros(table.shape[1], dtype=torch.bool, device=table.device)
        shared[OF_CLASS] = True
        return found.masked_fill(shared, 0.0)


class Influence:
    """How much each training sample has helped on the meta images so far (after Ren et al. 2018).

    To first order, a sample that weighs more in the next step takes -sum_j w_j d L_meta / d w_j
    from the meta loss, for the same share more of each of its weights w. Each time that is looked
    at it is divided by its root mean square over the batch; what stands here is the mean of all
    looks.

    Attributes:
        total, looks: (N,) of every training sample.
    """

    def __init__(self, num_samples: int, device: torch.device) -> None:
        self.total = torch.zeros(num_samples, device=device)
        self.looks = torch.zeros(num_samples, device=device)

    def add(self, index: Tensor, gradient: Tensor, weights: Tensor) -> None:
        """Take in d L_meta / d w of samples index (B,), at their weights, (B, 3) each."""
        gain = -(gradient * weights.detach()).sum(dim=1)
        size = gain.square().mean().sqrt().clamp_min(torch.finfo(gain.dtype).eps)
        looked = (gain / size).to(self.total.dtype)
        self.total = self.total.index_add(0, index, looked)
        self.looks = self.looks.index_add(0, index, torch.ones_like(looked))

    def of(self, index: Tensor) -> Tensor:
        """Return the mean of all looks, (B,); 0 before the first."""
        return self.total[index] / self.looks[index].clamp_min(1)


class Inputs:
    """The table that the network reads of a batch, (B, 6), or (B, 7) with the influence."""

    def __init__(
        self, crowd: Crowd, *, influence: bool, class_counts: Tensor, device: torch.device
    ) -> None:
        num_classes, num_samples = len(class_counts), int(class_counts.sum())
        self.influence = Influence(num_samples, device) if influence else None
        num_inputs = len(NAMES) + influence
        self.moments = ClassMoments(num_classes, num_inputs, device) if crowd == "class" else None

    def table(self, traits: Characteristics, batch: Batch) -> Tensor:
        """Return it standardised."""
        table = self._raw(traits, batch)
        return (
            standardised(table) if self.moments is None else self.moments.relative(table, batch.y)
        )

    def _raw(self, traits: Characteristics, batch: Batch) -> Tensor:
        if self.influence is None:
            return traits.table()
        return torch.cat([traits.table(), self.influence.of(batch.index)[:, None]], dim=1)

    # -- what they are made of

    def start_epoch(self) -> None:
        if self.moments is not None:
            self.moments.start_epoch()

    def look(self, traits: Characteristics, batch: Batch) -> None:
        """Take in a batch of the training set, once."""
        if self.moments is not None:
            self.moments.add(self._raw(traits, batch), batch.y)

    def learn(self, batch: Batch, gradient: Tensor, weights: Tensor) -> None:
        """Take in what a meta step found of a batch: see `Influence.add`."""
        if self.influence is not None:
            self.influence.add(batch.index, gradient, weights)

    @property
    def _parts(self) -> dict[str, ClassMoments | Influence]:
        held = {"moments": self.moments, "influence": self.influence}
        return {name: part for name, part in held.items() if part is not None}

    def state(self) -> dict[str, Tensor]:
        return {
            f"{part}.{name}": value
            for part, held in self._parts.items()
            for name, value in vars(held).items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        for part, held in self._parts.items():
            vars(held).update(under(f"{part}.", state))
