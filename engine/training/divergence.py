"""When training has left the finite numbers, from where no step comes back."""

from collections.abc import Iterable

import torch
from torch import Tensor

from engine.errors import Diverged


def require_finite(
    what: str, tensors: Iterable[Tensor], *, epoch: int, step: int, learning_rate: float
) -> None:
    """Raise `Diverged`, with the place and a way out, if a value is NaN or infinite."""
    values = list(tensors)
    if not bool(torch.stack([value.isfinite().all() for value in values]).all()):
        found = "NaN" if any(bool(value.isnan().any()) for value in values) else "infinite"
        raise Diverged(
            f"Diverged at epoch {epoch}, step {step}: {what} is {found}; "
            f"lr {learning_rate:g}. Lower training.lr and launch again"
        )
