"""The residual network for CIFAR with 32 layers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.lazy import nn
from engine.models.backbones.base import BACKBONES, BackboneConfig

BLOCKS_PER_STAGE = 5
"""32 = 6 * 5 + 2 layers."""


@BACKBONES.register
class ResNet32Config(BackboneConfig):
    """Deep residual learning (He et al., CVPR 2016), its network for CIFAR with 6n + 2 layers."""

    name: Literal["resnet32"] = "resnet32"
    width: int = Field(16, ge=1, le=512, description="Channels of the first stage; 16 is usual")

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        """Stack a first convolution, three stages of five blocks, and an average over the image."""
        from engine.models.backbones._blocks import BasicBlock

        blocks: list[nn.Module] = []
        fan_in = self.width
        for stage in range(3):
            fan_out = self.width * 2**stage
            for number in range(BLOCKS_PER_STAGE):
                blocks.append(BasicBlock(fan_in, fan_out, 2 if stage and not number else 1))
                fan_in = fan_out
        return nn.Sequential(
            nn.Conv2d(channels, self.width, 3, padding=1, bias=False),
            nn.BatchNorm2d(self.width),
            nn.ReLU(),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(fan_in, num_classes),
        )
