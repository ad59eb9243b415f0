"""What one epoch of training leaves behind, sample by sample."""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.inspection.distributions import ASSIGNMENT, STEPS_WITHSTOOD
from engine.meta.characteristics import NAMES, Characteristics
from engine.types import Assignment, Batch, Columns


@dataclass(frozen=True)
class Stepped:
    """What a training step leaves behind of its batch.

    Attributes:
        batch: The samples.
        assignment: What the model was moved by, with the bounds that the copies had.
        traits: What the method read, if it reads any.
        losses: (B, 3) of the three terms, without a graph.
        withstood: (B,) steps of its adversary that each sample withstood, where they were counted.
    """

    batch: Batch
    assignment: Assignment
    traits: Characteristics | None
    losses: Tensor
    withstood: Tensor | None = None


class EpochRecord:
    """What happened to each sample in one epoch, kept on the device until its end."""

    def __init__(self, num_samples: int, device: torch.device) -> None:
        self.columns: dict[str, Tensor] = defaultdict(
            lambda: torch.zeros(num_samples, device=device)
        )
        self._losses: list[Tensor] = []
        self._terms: list[Tensor] = []
        self._told = 0

    def add(self, step: Stepped) -> None:
        """Keep what a step gave the samples of its batch."""
        weights = step.assignment.weights
        values = dict(zip(ASSIGNMENT, (*weights.unbind(dim=1), step.assignment.bound), strict=True))
        if step.traits is not None:
            values |= {name: getattr(step.traits, name) for name in NAMES}
        if step.withstood is not None:
            values[STEPS_WITHSTOOD] = step.withstood
        for name, value in values.items():
            self.columns[name][step.batch.index] = value
        self._losses.append((weights * step.losses).sum(dim=1).mean())
        self._terms.append(step.losses.mean(dim=0))

    def bounds(self) -> Tensor:
        """Return every sample's bound, (N,), 0 where it was not met yet.

        Raises:
            ValueError: The method gave a negative one, which is no radius.
        """
        bounds = self.columns["bound"]
        if bool((bounds < 0).any()):
            raise ValueError("every bound must be at least 0")
        return bounds

    def loss_since_told(self) -> Tensor:
        """Return the mean loss of the batches since the last call, a scalar."""
        recent = torch.stack(self._losses[self._told :])
        self._told = len(self._losses)
        return recent.mean()

    def as_numpy(self) -> Columns:
        """Return the per-sample columns, (N,) each, in the order of the training set."""
        return {name: column.cpu().numpy() for name, column in self.columns.items()}

    def means(self) -> dict[str, float]:
        """Return the epoch's mean loss, terms and weights by name."""
        terms = torch.stack(self._terms).mean(dim=0)
        means = {
            "loss": torch.stack(self._losses).mean(),
            "clean_loss": terms[0],
            "adversary_loss": terms[1],
            "anti_adversary_loss": terms[2],
            **{name: self.columns[name].mean() for name in ASSIGNMENT},
        }
        return {name: value.item() for name, value in means.items()}
