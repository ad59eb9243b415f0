"""Wide residual network with 28 layers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.lazy import nn
from engine.models.backbones.base import BACKBONES, BackboneConfig

BLOCKS_PER_STAGE = 4
"""28 = 6 * 4 + 4 layers."""


@BACKBONES.register
class WideResNet28Config(BackboneConfig):
    """Wide residual networks (Zagoruyko and Komodakis, BMVC 2016), depth 28, without dropout."""

    name: Literal["wrn-28-10"] = "wrn-28-10"
    width: int = Field(10, ge=1, le=32, description="Widen factor; 10 is usual")

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        """Stack three stages of four blocks, a last norm and an average over the image."""
        from engine.models.backbones._blocks import PreActBlock

        blocks: list[nn.Module] = []
        fan_in = 16
        for stage in range(3):
            fan_out = 16 * self.width * 2**stage
            for number in range(BLOCKS_PER_STAGE):
                blocks.append(PreActBlock(fan_in, fan_out, 2 if stage and not number else 1))
                fan_in = fan_out
        return nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1, bias=False),
            *blocks,
            nn.BatchNorm2d(fan_in),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(fan_in, num_classes),
        )
