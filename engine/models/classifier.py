"""The model that wraps a backbone: normalisation, and the arithmetic that it computes in."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from engine.mapped import MappedImages
from engine.models.modes import arithmetic


class Classifier(nn.Module):
    """Normalisation as the first layer, then a backbone: it takes images in [0, 1].

    So a perturbation's radius always is in pixels, whatever the normalisation.

    Attributes:
        bf16: Whether the backbone computes in bfloat16 (autocast); logits are float32 always.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, mean: Tensor, std: Tensor) -> None:
        """Wrap a backbone; mean and std are (channels,), measured on the training images."""
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("std", std.view(1, -1, 1, 1))
        self.bf16 = False

    def forward(self, x: Tensor) -> Tensor:
        return self.logits_of_normalised(self.normalised(x))

    def normalised(self, x: Tensor) -> Tensor:
        """Return what the first layer makes of images in [0, 1]."""
        return (x - self.mean) / self.std

    def logits_of_normalised(self, x: Tensor) -> Tensor:
        """Return what every layer but the first makes of normalised images, (B, C)."""
        logits: Tensor
        if not self.bf16:
            logits = self.backbone(x)
            return logits
        with torch.autocast(x.device.type, torch.bfloat16):
            logits = self.backbone(x)
        return logits.float()

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Run a block without autocast and without TF32, whatever training uses."""
        before, self.bf16 = self.bf16, False
        try:
            with arithmetic(tf32=False):
                yield
        finally:
            self.bf16 = before


def normalisation_of(model: Classifier) -> dict[str, Tensor]:
    """Return what a model's first layer holds, by the names of its state."""
    return {"mean": model.mean, "std": model.std}


def _pieces(images: Tensor | MappedImages) -> Iterable[Tensor]:
    if isinstance(images, MappedImages):
        return map(torch.from_numpy, images.pieces())
    pieces: Iterable[Tensor] = images.split(4096)
    return pieces


def channel_statistics(images: Tensor | MappedImages) -> tuple[Tensor, Tensor]:
    """Return each channel's mean and standard deviation, (channels,), with pixels in [0, 1].

    Args:
        images: (N, channels, height, width) uint8; read in pieces, as all of them as floats may
            not fit in memory.
    """
    each = (0, 2, 3)
    count = math.prod(images.shape) // images.shape[1]
    total = torch.zeros(images.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for piece in _pieces(images):
        total += piece.sum(each, dtype=torch.int64)
        squares += piece.int().square().sum(each, dtype=torch.int64)
    mean = total / count
    variance = (squares - count * mean.square()) / max(count - 1, 1)
    return (mean / 255).float(), (variance.clamp_min(0).sqrt() / 255).clamp_min(1e-3).float()
