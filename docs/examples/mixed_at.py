"""A training method in one file; its place is engine/methods/mixed_at.py."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import Objective
from engine.types import Assignment, Batch


@METHODS.register
class MixedAtConfig(MethodConfig):
    """The clean and the adversarial loss, mixed (Goodfellow et al., ICLR 2015)."""

    name: Literal["mixed-at"] = "mixed-at"
    paper: ClassVar[str] = "Goodfellow et al., ICLR 2015"
    assigns: ClassVar[str] = "c = share, a = 1 - share, l_adv = CE(f(x+), y)"
    share: float = Field(0.5, ge=0, le=1, description="Weight of the clean loss")

    def build(self, learner: Learner) -> MixedAt:
        return MixedAt(self.share, learner.epsilon)


class MixedAt(Method):
    """c = share, a = 1 - share, and everybody has the threat model's bound."""

    objective = Objective(climbs="ce", start="uniform", clean=True)

    def __init__(self, share: float, epsilon: float) -> None:
        self.share, self.epsilon = share, epsilon

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        one = torch.ones(len(batch), device=batch.x.device)
        zero = torch.zeros_like(one)
        return Assignment(self.share * one, (1 - self.share) * one, zero, self.epsilon * one)
