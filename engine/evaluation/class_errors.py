"""A model's errors class by class, as a policy between two epochs reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from engine.evaluation.evaluate import Evaluation


@dataclass(frozen=True)
class ClassErrors:
    """Errors on held-out validation data, (C,) each, as shares of 1."""

    natural: Tensor
    boundary: Tensor

    @property
    def robust(self) -> Tensor:
        return self.natural + self.boundary


def class_errors(evaluation: Evaluation, device: torch.device) -> ClassErrors:
    """Return errors as shares per class, (C,) each; a class without samples has 0."""
    count = np.maximum(evaluation.count, 1)
    return ClassErrors(
        natural=torch.from_numpy(evaluation.natural / count).float().to(device),
        boundary=torch.from_numpy(evaluation.boundary / count).float().to(device),
    )
