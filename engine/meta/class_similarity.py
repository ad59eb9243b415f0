"""How near classes are in what a model says of them, and the class weights that follow (DAFA)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.lazy import torch
from engine.types import one_hot

if TYPE_CHECKING:
    from torch import Tensor


def sums_by_class(p: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of the predictions (C, C), a row for each label, and the samples (C,).

    Args:
        p: (B, C) class probabilities.
        y: (B,) class indices.
    """
    member = one_hot(y, p.shape[1], p.dtype)
    return member.T @ p, member.sum(dim=0)


def similarity_of(total: Tensor, count: Tensor) -> Tensor:
    """Return S (C, C), the mean prediction of each class; zeros where it has no samples."""
    return total / count.clamp_min(1)[:, None]


def class_weights(similarity: Tensor, *, scale: float, floor: float) -> Tensor:
    """Move weight, pair by pair, from the class that is easier to the one that is harder.

    For each pair i != j: if S_ii < S_jj then W_i += scale S_ij S_jj, else W_i -= scale S_ji S_ii.

    Args:
        similarity: S (C, C), the mean prediction of each class; a row of zeros where a class has
            no samples, which then gives and takes nothing.
        scale: The paper's lambda.
        floor: What each weight is raised to.
    """
    own = similarity.diagonal()
    is_harder = own[:, None] < own[None, :]
    gain = torch.where(is_harder, similarity * own[None, :], -similarity.T * own[:, None])
    return (1 + scale * gain.fill_diagonal_(0).sum(dim=1)).clamp_min(floor)


class WarmUpWeights:
    """Class weights that are 1 until an epoch's adversarial predictions have been gathered."""

    def __init__(self, num_classes: int, device: torch.device) -> None:
        self.weights = torch.ones(num_classes, device=device)
        self._start_gathering()

    def _start_gathering(self) -> None:
        num_classes, device = len(self.weights), self.weights.device
        self.predicted = torch.zeros(num_classes, num_classes, device=device)
        self.count = torch.zeros(num_classes, device=device)

    def gather(self, logits: Tensor, y: Tensor) -> None:
        """Add the predictions of a batch, from logits (B, C) and labels (B,)."""
        total, count = sums_by_class(logits.softmax(dim=1), y)
        self.predicted, self.count = self.predicted + total, self.count + count

    def settle(self, *, scale: float, floor: float) -> None:
        """Make the weights of what was gathered, and forget it."""
        similarity = similarity_of(self.predicted, self.count)
        self.weights = class_weights(similarity, scale=scale, floor=floor)
        self._start_gathering()

    def state(self) -> dict[str, Tensor]:
        return {"weights": self.weights, "predicted": self.predicted, "count": self.count}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.weights, self.predicted = state["weights"], state["predicted"]
        self.count = state["count"]
