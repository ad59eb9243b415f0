"""Wide residual network with 28 layers."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from engine.backbone import BACKBONES, BackboneConfig

BLOCKS_PER_STAGE = 4
"""28 = 6 * 4 + 4 layers."""


@BACKBONES.register
class WideResNet28Config(BackboneConfig):
    """Wide residual networks (Zagoruyko and Komodakis, BMVC 2016), depth 28, without dropout."""

    name: Literal["wrn-28-10"] = "wrn-28-10"
    width: int = Field(10, ge=1, le=32, description="Widen factor; 10 is usual")

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        return WideResNet28(channels, num_classes, self.width)


class WideBlock(nn.Module):
    """Norm, ReLU, convolution, twice; where the width changes the shortcut is a 1x1 convolution."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(fan_in)
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.shortcut = (
            nn.Conv2d(fan_in, fan_out, 1, stride, bias=False)
            if stride != 1 or fan_in != fan_out
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        hidden: Tensor = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return hidden + shortcut


class WideResNet28(nn.Sequential):
    """Three stages of four blocks, a last norm and an average over the image."""

    def __init__(self, channels: int, num_classes: int, widen: int) -> None:
        blocks: list[nn.Module] = []
        fan_in = 16
        for stage in range(3):
            fan_out = 16 * widen * 2**stage
            for number in range(BLOCKS_PER_STAGE):
                blocks.append(WideBlock(fan_in, fan_out, 2 if stage and not number else 1))
                fan_in = fan_out
        super().__init__(
            nn.Conv2d(channels, 16, 3, padding=1, bias=False),
            *blocks,
            nn.BatchNorm2d(fan_in),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(fan_in, num_classes),
        )
