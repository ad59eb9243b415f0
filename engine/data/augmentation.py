"""Random crops and mirror images of a batch, drawn for each sample on the batch's device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.lazy import F, torch

if TYPE_CHECKING:
    from torch import Tensor


def crop_and_mirror(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return each image shifted by up to an eighth of its size, and mirrored with probability 1/2.

    The image is reflected at its borders by ``size // 8`` pixels (4 of 32) and a window of its own
    size is cut out at random, the usual augmentation of CIFAR.

    Args:
        x: (B, channels, size, size).
        generator: Where the draws come from, on the device of x.
    """
    num, channels, height, width = x.shape
    pad = height // 8
    padded = F.pad(x, (pad, pad, pad, pad), mode="reflect")
    shift = torch.randint(2 * pad + 1, (2, num, 1), generator=generator, device=x.device)
    mirrored = torch.randint(2, (num, 1), generator=generator, device=x.device).bool()
    row = shift[0] + torch.arange(height, device=x.device)  # (B, height)
    column = torch.arange(width, device=x.device)
    column = shift[1] + torch.where(mirrored, width - 1 - column, column)  # (B, width)
    sample = torch.arange(num, device=x.device).view(-1, 1, 1, 1)
    channel = torch.arange(channels, device=x.device).view(1, -1, 1, 1)
    return padded[sample, channel, row[:, None, :, None], column[:, None, None, :]]
