"""A backbone: the mean of each field of an image, and one linear layer on these."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from caat_studio.plugins import BackboneConfig, nn


class PooledLinearConfig(BackboneConfig):
    """Average pooling to a grid, then one linear layer."""

    name: Literal["pooled-linear"] = "pooled-linear"
    grid: int = Field(4, ge=1, le=32, description="Fields of the grid along each side")

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        grid = min(self.grid, size)
        return nn.Sequential(
            nn.AdaptiveAvgPool2d(grid),
            nn.Flatten(),
            nn.Linear(channels * grid * grid, num_classes),
        )
