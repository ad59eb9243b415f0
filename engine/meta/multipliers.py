"""Class-wise Lagrange multipliers of fair robust learning (FRL; Xu et al., ICML 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.class_means import shrunk_errors
from engine.meta.prices import ClassPrices

if TYPE_CHECKING:
    from torch import Tensor


class ClassMultipliers(ClassPrices):
    """Prices on a class's errors being above the average by more than a slack.

    With g0_c = natural_c - natural - slack and g1_c = boundary_c - boundary - slack, an update is
    l0 <- N(l0 + rate g0), l1 <- N(l1 + 2 rate g1), l2 <- l2 + bound_rate g1, where N clips at 0
    and scales down to a sum of at most ``limit``.

    Attributes:
        natural, boundary, margin: (C,) l0, l1 and l2.
        counts: (C,) images behind a class's errors, by which they are shrunk; None takes them as
            they are.
    """

    def __init__(  # noqa: PLR0913 - the settings of the rule, by name
        self,
        num_classes: int,
        *,
        slack: float,
        rate: float,
        bound_rate: float,
        limit: float,
        device: torch.device | str = "cpu",
        counts: Tensor | None = None,
    ) -> None:
        self.slack, self.rate, self.bound_rate, self.limit = slack, rate, bound_rate, limit
        self.unit, self.counts = 1 / num_classes, counts
        self.natural = self.boundary = self.margin = torch.zeros(num_classes, device=device)

    def update(self, errors: ClassErrors) -> None:
        """Take in one epoch's errors on balanced held-out data, (C,) each."""
        if self.counts is not None:
            errors = shrunk_errors(errors, self.counts)
        natural, boundary = errors.natural, errors.boundary
        over_natural = natural - natural.mean() - self.slack
        over_boundary = boundary - boundary.mean() - self.slack
        self.natural = limited(self.natural + self.rate * over_natural, self.limit)
        self.boundary = limited(self.boundary + 2 * self.rate * over_boundary, self.limit)
        self.margin = self.margin + self.bound_rate * over_boundary

    def natural_weights(self) -> Tensor:
        """w0_c = 1/C + l0_c - mean(l0), (C,)."""
        return positive_class_weights(self.natural)

    def boundary_weights(self) -> Tensor:
        """w1_c = 1/C + l1_c - mean(l1), (C,)."""
        return positive_class_weights(self.boundary)

    def bound_factors(self, low: float, high: float) -> Tensor:
        """m_c = clip(exp(2 l2_c), low, high), (C,): how much wider class c's ball is (ReMargin)."""
        return (2 * self.margin).exp().clamp(low, high)

    def state(self) -> dict[str, Tensor]:
        return {"natural": self.natural, "boundary": self.boundary, "margin": self.margin}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.natural, self.boundary = state["natural"], state["boundary"]
        self.margin = state["margin"]


def limited(multipliers: Tensor, limit: float) -> Tensor:
    """N: clip (C,) multipliers at 0, then scale them down to a sum of at most ``limit``."""
    multipliers = multipliers.clamp_min(0)
    return multipliers * (limit / multipliers.sum().clamp_min(limit))


def class_weights(multipliers: Tensor) -> Tensor:
    """Return 1/C + l_c - mean(l), the closed form of the cost-sensitive weights, (C,)."""
    return 1 / len(multipliers) + multipliers - multipliers.mean()


def positive_class_weights(multipliers: Tensor) -> Tensor:
    """Return the class weights of limited multipliers, (C,), each above 0.

    With a limit of almost 1 rounding makes a weight 0 or less: then so is the mean of a batch of
    that class, which divides the batch's weights.
    """
    weights = class_weights(multipliers)
    return weights.clamp_min(torch.finfo(weights.dtype).eps)
