"""A two-layer convolutional network for small grey images and slow machines."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.lazy import nn
from engine.models.backbones.base import BACKBONES, BackboneConfig


@BACKBONES.register
class SmallCnnConfig(BackboneConfig):
    """Two strided convolutions and a hidden layer (after Wong and Kolter, 2018)."""

    name: Literal["small-cnn"] = "small-cnn"
    width: int = Field(16, ge=1, le=512, description="Channels of the first convolution")

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        after = -(-size // 2)
        after = -(-after // 2)
        return nn.Sequential(
            nn.Conv2d(channels, self.width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(self.width, 2 * self.width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * self.width * after * after, 128),
            nn.ReLU(),
            nn.Linear(128, num_classes),
        )
