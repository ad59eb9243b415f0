"""Standard training: clean images only, the reference that every price is counted from."""

from __future__ import annotations

from typing import ClassVar, Literal

from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import Objective
from engine.types import Assignment, Batch


@METHODS.register
class StandardConfig(MethodConfig):
    """Training on clean images, empirical risk minimisation (Vapnik, NIPS 1991)."""

    name: Literal["standard"] = "standard"
    paper: ClassVar[str] = "Vapnik, NIPS 1991"
    assigns: ClassVar[str] = "c = 1, bound 0"

    def build(self, learner: Learner) -> Standard:
        return Standard()


class Standard(Method):
    """c = 1: min E CE(f(x), y). No attack is run, so every bound is 0."""

    objective = Objective(climbs="ce", start="uniform", clean=True, adversary=False)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        one = torch.ones(len(batch), device=batch.x.device)
        zero = torch.zeros_like(one)
        return Assignment(one, adversary=zero, anti_adversary=zero, bound=zero)
