"""TRADES: clean accuracy plus a price on how far predictions move inside the ball."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import TRADES, weighed
from engine.types import Assignment, Batch


@METHODS.register
class TradesConfig(MethodConfig):
    """A principled trade-off between robustness and accuracy (Zhang et al., ICML 2019)."""

    name: Literal["trades"] = "trades"
    paper: ClassVar[str] = "Zhang et al., ICML 2019"
    assigns: ClassVar[str] = "c = 1, a = beta"
    beta: float = Field(6.0, ge=0, le=100, description="Weight of the robust term, 1 / lambda")

    def build(self, learner: Learner) -> Trades:
        return Trades(self, learner)


class Trades(Method):
    """c = 1, a = beta: CE(f(x), y) + beta KL(p(x) || p(x+))."""

    objective = TRADES

    def __init__(self, config: TradesConfig, learner: Learner) -> None:
        self.beta = config.beta
        self.epsilon = learner.epsilon

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        one = torch.ones(len(batch), device=batch.x.device)
        return weighed("trades", one, beta=self.beta, epsilon=self.epsilon)
