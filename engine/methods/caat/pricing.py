"""Which class prices CAAT can have, what they measure, and which of its fields they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from engine.lazy import F
from engine.meta.class_means import class_means
from engine.meta.prices import ClassPrices, EqualPrices, GroupDro, Hedge, PriceKind, hedge_cost
from engine.methods.base import Learner
from engine.objective import TRADES
from engine.types import Batch

if TYPE_CHECKING:
    from torch import Tensor

ETA = 0.1
"""What an empty eta stands for, as in WAT."""
MEASURED = TRADES
"""The attack that validation losses are measured with: the run's own."""

MeasuredPrices: TypeAlias = Literal["hedge", "group-dro", "none"]
"""Kinds that need no errors told, but measure what they go by themselves."""
MOVING: tuple[PriceKind, ...] = ("multipliers", "hedge", "group-dro")
READ_BY: dict[str, tuple[PriceKind, ...]] = {
    "eta": ("hedge", "group-dro"),
    "normalise_prices": MOVING,
    "shrink": MOVING,
    "fairness_from": MOVING,
    "slack": ("multipliers",),
    "multiplier_rate": ("multipliers",),
    "multiplier_limit": ("multipliers",),
}
"""The prices on which a field has an effect."""
OF_BOUNDS = ("shrink", "fairness_from", "slack")
"""Of these fields, those that move ReMargin's bounds too."""


def require_read(name: str, value: object, *, prices: str, bounds: object) -> None:
    """Refuse a field of one's own choice that changes nothing under the other ones.

    Raises:
        ValueError: Neither the prices nor the bounds read it.
    """
    if prices in READ_BY[name] or (name in OF_BOUNDS and bounds == "remargin"):
        return
    others = f"prices {prices}" + (f" and bounds {bounds}" if name in OF_BOUNDS else "")
    raise ValueError(
        f"{value} is not valid with {others}, under which it changes nothing; allowed: leave it out"
    )


def class_prices(
    kind: MeasuredPrices,
    learner: Learner,
    *,
    eta: float,
    beta: float,
    shrink: bool,
) -> ClassPrices:
    """Return what gives class weights by what it measures.

    Hedge reads WAT's cost CE(f(x), y) + beta KL, Group DRO the robust loss CE(f(x+), y); both with
    copies at the distance epsilon, whatever a class's bound is in training.
    """
    if kind == "none":
        return EqualPrices(learner.num_classes, learner.device)

    def loss(batch: Batch) -> Tensor:
        log_p, log_q = learner.attacked(batch, MEASURED)
        if kind == "hedge":
            return hedge_cost(log_p, log_q, batch.y, beta=beta)
        robust: Tensor = F.nll_loss(log_q, batch.y, reduction="none")
        return robust

    def measure() -> Tensor:
        return class_means(loss, learner.validation, learner.num_classes, shrink=shrink)

    priced = Hedge if kind == "hedge" else GroupDro
    return priced(learner.num_classes, eta=eta, measure=measure, device=learner.device)
