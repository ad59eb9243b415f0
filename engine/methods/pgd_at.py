"""PGD-AT: adversarial training on the worst case that PGD finds."""

from __future__ import annotations

from typing import ClassVar, Literal

from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import PGD_AT
from engine.types import Assignment, Batch


@METHODS.register
class PgdAtConfig(MethodConfig):
    """Towards deep learning models resistant to adversarial attacks (Madry et al., ICLR 2018)."""

    name: Literal["pgd-at"] = "pgd-at"
    paper: ClassVar[str] = "Madry et al., ICLR 2018"
    assigns: ClassVar[str] = "a = 1, l_adv = CE(f(x+), y)"

    def build(self, learner: Learner) -> PgdAt:
        return PgdAt(learner)


class PgdAt(Method):
    """a = 1: min E max CE(f(x + delta), y)."""

    objective = PGD_AT

    def __init__(self, learner: Learner) -> None:
        self.epsilon = learner.epsilon

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        one = torch.ones(len(batch), device=batch.x.device)
        zero = torch.zeros_like(one)
        return Assignment(zero, adversary=one, anti_adversary=zero, bound=one * self.epsilon)
