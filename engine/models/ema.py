"""An exponential moving average of a model's weights, and the model as it would be with them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """average <- d average + (1 - d) model, over every parameter and buffer.

    The first update copies the model. From then on d is the decay or, while the average warms up,
    (1 + n) / (10 + n) after n updates, if that is less: with a decay of 0.999 the first model would
    otherwise keep 79 % of the average after 240 updates, and with it all that it had not learned.
    Whole numbers, such as batch norm's count of batches, are always the newest model's.

    Attributes:
        decay: The largest d.
        count: Models that have joined; None where d does not depend on it.
    """

    def __init__(self, decay: float, *, warms_up: bool = False) -> None:
        self.decay = decay
        self.count: int | None = 0 if warms_up else None
        self._values: dict[str, Tensor] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no model has joined yet."""
        return not self._values

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Let the model as it stands join."""
        decay = self.decay
        if self.count is not None:
            decay = min(decay, (1 + self.count) / (10 + self.count))
            self.count += 1
        for name, value in model.state_dict().items():
            if name in self._values and value.is_floating_point():
                self._values[name].lerp_(value, 1 - decay)
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

    def load_state(self, state: dict[str, Tensor], count: Tensor | None = None) -> None:
        """Take back what `state` returned, and how many models had joined.

        An average without a count is from before there was a warm-up, and goes on without one:
        so a run that was begun under that rule ends as it would have ended.
        """
        self._values = {name: value.clone() for name, value in state.items()}
        if self._values and self.count is not None:
            self.count = None if count is None else int(count)
