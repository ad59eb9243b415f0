"""Standard training, for the epochs before a method begins."""

from dataclasses import replace

import torch

from engine.meta.characteristics import Characteristics
from engine.methods.base import Method
from engine.objective import Objective
from engine.types import Assignment, Batch


class NaturalStart(Method):
    """c = 1 for every sample, nothing is perturbed, every bound is 0."""

    def __init__(self, objective: Objective) -> None:
        """Record the columns that the method will record; nothing is attacked for them."""
        self.objective = replace(objective, clean=True, adversary=False, anti_adversary=False)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        one = torch.ones(len(batch), device=batch.x.device)
        nothing = torch.zeros_like(one)
        return Assignment(one, nothing, nothing, nothing)
