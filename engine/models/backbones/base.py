"""Backbones: the table of networks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import Field

from engine.config import Section
from engine.registry import Registry

if TYPE_CHECKING:
    from torch import nn


class BackboneConfig(Section):
    """A network's own knobs; each subclass builds one architecture for any image size."""

    name: str = Field(description="Architecture")

    @abstractmethod
    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        """Return a network from (B, channels, size, size), normalised, to logits (B, C)."""


BACKBONES: Registry[BackboneConfig] = Registry(
    "backbone",
    "engine.models.backbones",
    base=BackboneConfig,
    default="small-cnn",
    alias="backbone",
)
