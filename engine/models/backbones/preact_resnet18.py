"""PreAct-ResNet-18."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.lazy import nn
from engine.models.backbones.base import BACKBONES, BackboneConfig


@BACKBONES.register
class PreActResNet18Config(BackboneConfig):
    """Identity mappings in deep residual networks (He et al., ECCV 2016), 18 layers."""

    name: Literal["preact-resnet18"] = "preact-resnet18"
    width: int = Field(64, ge=1, le=512, description="Channels of the first stage; 64 is usual")

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        """Stack four stages of two blocks, a last norm and an average over the image."""
        from engine.models.backbones._blocks import PreActBlock

        width = self.width
        stages = [
            block
            for stage in range(4)
            for block in (
                PreActBlock(
                    width * 2 ** max(stage - 1, 0), width * 2**stage, 1 if stage == 0 else 2
                ),
                PreActBlock(width * 2**stage, width * 2**stage, 1),
            )
        ]
        return nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            *stages,
            nn.BatchNorm2d(8 * width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8 * width, num_classes),
        )
