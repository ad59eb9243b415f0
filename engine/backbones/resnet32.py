"""The residual network for CIFAR with 32 layers."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from engine.backbone import BACKBONES, BackboneConfig

BLOCKS_PER_STAGE = 5
"""32 = 6 * 5 + 2 layers."""


@BACKBONES.register
class ResNet32Config(BackboneConfig):
    """Deep residual learning (He et al., CVPR 2016), its network for CIFAR with 6n + 2 layers."""

    name: Literal["resnet32"] = "resnet32"
    width: int = Field(16, ge=1, le=512, description="Channels of the first stage; 16 is usual")

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        return ResNet32(channels, num_classes, self.width)


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


class ResNet32(nn.Sequential):
    """A first convolution, three stages of five blocks, and an average over the image."""

    def __init__(self, channels: int, num_classes: int, width: int) -> None:
        blocks: list[nn.Module] = []
        fan_in = width
        for stage in range(3):
            fan_out = width * 2**stage
            for number in range(BLOCKS_PER_STAGE):
                blocks.append(BasicBlock(fan_in, fan_out, 2 if stage and not number else 1))
                fan_in = fan_out
        super().__init__(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(fan_in, num_classes),
        )
