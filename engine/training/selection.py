"""Which epoch's model counts, and when to stop: both by the validation data."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.evaluation.evaluate import Evaluation
from engine.lazy import torch
from engine.models.modes import with_weights
from engine.types import under

if TYPE_CHECKING:
    from torch import Tensor, nn


class Selection:
    """The best epoch so far, by average + worst-class robust accuracy on validation data.

    Attributes:
        epoch: The best one; 0 before the first look. Of equal epochs it is the first.
        score: Its score.
    """

    def __init__(self, *, keeps_best: bool, patience: int | None) -> None:
        """Say what it is for.

        Args:
            keeps_best: Whether to keep the weights of the best epoch.
            patience: Epochs without a better one after which a run is over; None is never.
        """
        self.keeps_best, self.patience = keeps_best, patience
        self.epoch, self.score = 0, float("-inf")
        self._weights: dict[str, Tensor] = {}

    def look(self, epoch: int, validation: Evaluation, model: nn.Module) -> None:
        """Take in what an epoch gave, and the model that gave it."""
        score = validation.robust_score()
        if score <= self.score:
            return
        self.epoch, self.score = epoch, score
        if self.keeps_best:
            self._weights = {name: value.clone() for name, value in model.state_dict().items()}

    def is_patient(self, epoch: int) -> bool:
        """Tell whether another epoch is worth it after this one."""
        return self.patience is None or not self.epoch or epoch - self.epoch < self.patience

    def applied(self, model: nn.Module) -> AbstractContextManager[None]:
        """Run a block with the best weights in the model's place, if they are kept."""
        return with_weights(model, self._weights)

    def state(self) -> dict[str, Tensor]:
        """Return everything that it knows, by name; nothing where nobody asked for it."""
        if not self.epoch or not (self.keeps_best or self.patience):
            return {}
        return {
            "epoch": torch.tensor(self.epoch),
            "score": torch.tensor(self.score, dtype=torch.float64),
            **{f"weights.{name}": value for name, value in self._weights.items()},
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned."""
        if state:
            self.epoch, self.score = int(state["epoch"]), float(state["score"])
            self._weights = under("weights.", state)


@dataclass(frozen=True)
class Deployed:
    """The weights that a run's test looks at: best, averaged, or last.

    Attributes:
        weights: By the model's own names.
        epoch: Whose they are.
        is_best: Whether the validation data chose the epoch.
        is_averaged: Whether they are averaged over the steps.
    """

    weights: dict[str, Tensor]
    epoch: int
    is_best: bool
    is_averaged: bool


def deployed(state: dict[str, Tensor], epoch: int) -> Deployed:
    """Find them in the state of a run after an epoch."""
    best, average = under("selection.weights.", state), under("average.", state)
    return Deployed(
        weights=best or average or under("model.", state),
        epoch=int(state["selection.epoch"]) if best else epoch,
        is_best=bool(best),
        is_averaged=bool(average),
    )
