"""How a weighting network learns: its optimiser, and the clean images that it learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.lazy import torch
from engine.seeds import torch_stream
from engine.types import Batch, under

if TYPE_CHECKING:
    from torch import Tensor, nn


class MetaLearner:
    """What teaches a weighting network: its Adam, and the draws of meta images it learns from."""

    def __init__(
        self,
        network: nn.Module,
        images: Batch,
        *,
        seed: int,
        lr: float,
        weight_decay: float,
        batch_size: int,
    ) -> None:
        self.network, self.images, self.seed, self.batch_size = network, images, seed, batch_size
        self.optimizer = torch.optim.Adam(network.parameters(), lr=lr, weight_decay=weight_decay)

    def start_epoch(self, epoch: int) -> None:
        self._stream = torch_stream(self.seed, "meta batches", epoch)

    def batch(self) -> Batch:
        """Draw the next meta images."""
        x, y = self.images.x, self.images.y
        size = min(self.batch_size, len(y))
        index = torch.randperm(len(y), generator=self._stream)[:size].to(y.device)
        return Batch(x[index], y[index], self.images.index[index])

    def descend(self, value: Tensor, gradient: Tensor | None = None) -> None:
        """Move the network against d meta loss / d value, through the graph of the value.

        Without a gradient the value is the meta loss itself, a scalar.
        """
        self.optimizer.zero_grad()
        value.backward(gradient)
        self.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Return the network and Adam's moments, by name."""
        learned = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        moments = {
            f"adam.{name}.{key}": value
            for name, parameter in self.network.named_parameters()
            for key, value in self.optimizer.state[parameter].items()
        }
        return learned | moments

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned; entries with other names are left alone."""
        self.network.load_state_dict(under("network.", state))
        for name, parameter in self.network.named_parameters():
            moments = under(f"adam.{name}.", state)
            if moments:
                # Adam counts on the host: on the device it would wait for its own count.
                self.optimizer.state[parameter] = moments | {"step": moments["step"].cpu()}
