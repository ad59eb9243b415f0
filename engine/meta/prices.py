"""What a class weighs in a loss: prices that move by what held-out data say of the classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from engine.evaluation.class_errors import ClassErrors
from engine.lazy import F, torch
from engine.objective import kl_divergence

if TYPE_CHECKING:
    from torch import Tensor

PriceKind: TypeAlias = Literal["multipliers", "hedge", "group-dro", "none"]
"""`multipliers` are `engine.meta.multipliers.ClassMultipliers`; the others stand here."""
Measure: TypeAlias = "Callable[[], Tensor]"
"""Looks at held-out data: the mean loss of each class, then of all samples, (C + 1,)."""


class ClassPrices(ABC):
    """Class weights, (C,), that move once an epoch.

    Attributes:
        unit: What its weights are in: they are about this where no class stands out.
    """

    unit: float = 1.0

    @abstractmethod
    def update(self, errors: ClassErrors) -> None:
        """Take in one epoch; the errors are those on balanced held-out data, (C,) each."""

    @abstractmethod
    def natural_weights(self) -> Tensor:
        """w0 of the clean term, (C,)."""

    def boundary_weights(self) -> Tensor:
        """w1 of the adversary's term, (C,); w0 where a kind has one price for both."""
        return self.natural_weights()

    def state(self) -> dict[str, Tensor]:
        """Return what it has learned, by name."""
        return {}

    def load_state(  # noqa: B027 - optional: equal prices learn nothing
        self, state: dict[str, Tensor]
    ) -> None:
        """Take back what `state` returned."""


class EqualPrices(ClassPrices):
    """w = 1 for every class, always."""

    def __init__(self, num_classes: int, device: torch.device | str = "cpu") -> None:
        self.weights = torch.ones(num_classes, device=device)

    def update(self, errors: ClassErrors) -> None:
        pass

    def natural_weights(self) -> Tensor:
        return self.weights


class Hedge(ClassPrices):
    """Hedge over C + 1 experts, the classes and their average (WAT; Li and Liu, AAAI 2023).

    Expert k has w_k = C exp(eta S_k) / sum_j exp(eta S_j), where S_k sums its costs so far, and a
    class weighs w_c + w_average; that is 2 before the first costs, as released.

    Attributes:
        costs: (C + 1,) S.
    """

    def __init__(
        self, num_classes: int, *, eta: float, measure: Measure, device: torch.device
    ) -> None:
        self.eta, self.measure = eta, measure
        self.costs = torch.zeros(num_classes + 1, device=device)

    def update(self, errors: ClassErrors | None = None) -> None:
        """Measure each expert's cost, and add it to its sum; errors are not read."""
        self.costs = self.costs + self.measure()

    def expert_weights(self) -> Tensor:
        """w, (C + 1,), the last is the average's."""
        weights = (len(self.costs) - 1) * (self.eta * self.costs).softmax(dim=0)
        return torch.where(self.costs.any(), weights, 1.0)

    def natural_weights(self) -> Tensor:
        weights = self.expert_weights()
        return weights[:-1] + weights[-1]

    def state(self) -> dict[str, Tensor]:
        return {"costs": self.costs}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.costs = state["costs"]


def hedge_cost(log_p: Tensor, log_q: Tensor, y: Tensor, *, beta: float) -> Tensor:
    """CE(f(x), y) + beta KL(p(x) || p(x+)) of each sample, (B,), from log p and log q (B, C)."""
    clean: Tensor = F.nll_loss(log_p, y, reduction="none")
    return clean + beta * kl_divergence(log_p, log_q)


class GroupDro(ClassPrices):
    """Exponentiated gradient ascent on the classes' losses (Sagawa et al., ICLR 2020).

    Their Algorithm 1, line 5 and 6: q_c <- q_c exp(eta l_c), then q <- q / sum q. A class weighs
    C q_c, so that the mean is 1. They take the loss of a training batch in every step; here it is
    that of the held-out data, once an epoch.

    Attributes:
        log_q: (C,) log q.
    """

    def __init__(
        self, num_classes: int, *, eta: float, measure: Measure, device: torch.device
    ) -> None:
        self.eta, self.measure = eta, measure
        self.log_q = torch.zeros(num_classes, device=device).log_softmax(dim=0)

    def update(self, errors: ClassErrors | None = None) -> None:
        """Measure each class's loss, and move q by it; errors are not read."""
        self.log_q = (self.log_q + self.eta * self.measure()[:-1]).log_softmax(dim=0)

    def natural_weights(self) -> Tensor:
        return len(self.log_q) * self.log_q.exp()

    def state(self) -> dict[str, Tensor]:
        return {"log_q": self.log_q}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.log_q = state["log_q"]
