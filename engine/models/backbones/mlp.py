"""A fully connected network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.lazy import nn
from engine.models.backbones.base import BACKBONES, BackboneConfig


@BACKBONES.register
class MlpConfig(BackboneConfig):
    """Hidden layers with ReLU on the flat image."""

    name: Literal["mlp"] = "mlp"
    width: int = Field(256, ge=1, le=16_384, description="Units of a hidden layer")
    depth: int = Field(2, ge=1, le=16, description="Hidden layers")

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        fan_in = channels * size * size
        for _ in range(self.depth):
            layers += [nn.Linear(fan_in, self.width), nn.ReLU()]
            fan_in = self.width
        return nn.Sequential(*layers, nn.Linear(fan_in, num_classes))
