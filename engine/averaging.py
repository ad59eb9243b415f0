"""An exponential moving average of a model's weights, and the model as it would be with them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """average <- decay average + (1 - decay) model, over every parameter and buffer.

    The first update copies the model. Whole numbers, such as batch norm's count of batches, are
    always the newest model's.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._values: dict[str, Tensor] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no model has joined yet."""
        return not self._values

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Let the model as it stands join."""
        for name, value in model.state_dict().items():
            if name in self._values and value.is_floating_point():
                self._values[name].lerp_(value, 1 - self.decay)
            else:
                self._values[name] = value.clone()

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Run a block with the average in the model's place; an empty one changes nothing."""
        if self.is_empty:
            yield
            return
        own = {name: value.clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self._values)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def state(self) -> dict[str, Tensor]:
        """Return the average by the model's own names; nothing while it is empty."""
        return dict(self._values)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned."""
        self._values = {name: value.clone() for name, value in state.items()}
