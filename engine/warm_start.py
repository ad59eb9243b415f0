"""Standard training, for the epochs before a method begins."""

import torch

from engine.characteristics import Characteristics
from engine.method import Method, Objective
from engine.types import Assignment, Batch


class NaturalStart(Method):
    """c = 1 for every sample, nothing is perturbed, every bound is 0."""

    objective = Objective("ce", start="uniform", clean=True, adversary=False)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        one, nothing = torch.ones_like(batch.x[:, 0, 0, 0]), torch.zeros_like(batch.x[:, 0, 0, 0])
        return Assignment(one, nothing, nothing, nothing)
