"""The residual blocks that backbones are made of."""

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two convolutions with norms around a shortcut that has no parameters.

    Where the width grows, the shortcut takes every second pixel and pads with zero channels
    (option A of the paper).
    """

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (fan_out - fan_in) // 2
        self.after = fan_out - fan_in - self.before
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(fan_out)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after)
        )
        hidden = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(hidden + shortcut)


class Shortcut(nn.Conv2d):
    """A 1x1 convolution that takes its stride from the image first.

    It is the same map. oneDNN's own strided 1x1 convolution writes beyond its memory on processors
    with AVX2 at most, where images are channels last and their channels no multiple of 8 (seen with
    torch 2.13: "corrupted size vs. prev_size"). Multiples of 8 keep its way, and their numbers.
    """

    def forward(self, x: Tensor) -> Tensor:
        (stride, _), is_safe = self.stride, self.in_channels % 8 == 0
        if stride == 1 or is_safe:
            return super().forward(x)
        return F.conv2d(x[:, :, ::stride, ::stride], self.weight)


class PreActBlock(nn.Module):
    """Norm, ReLU, convolution, twice, around an identity (or 1x1) shortcut (He et al. 2016)."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(fan_in)
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.shortcut = (
            Shortcut(fan_in, fan_out, 1, stride, bias=False)
            if stride != 1 or fan_in != fan_out
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        hidden: Tensor = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return hidden + shortcut
