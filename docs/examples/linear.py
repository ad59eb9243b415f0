"""A backbone in one file; its place is engine/models/backbones/linear.py."""

from __future__ import annotations

from typing import Literal

from engine.lazy import nn
from engine.models.backbones.base import BACKBONES, BackboneConfig


@BACKBONES.register
class LinearConfig(BackboneConfig):
    """One linear layer on the flat image."""

    name: Literal["linear"] = "linear"

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, num_classes))
