"""Backbones: the table of networks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.config import Section
from engine.registry import Registry

if TYPE_CHECKING:
    from torch import nn


ARCHITECTURE = r"^[A-Za-z0-9_.-]+$"
"""How another library may call a network: no address, from which it would fetch something."""


class BackboneConfig(Section):
    """A network's own knobs; each subclass builds one architecture for any image size.

    Attributes:
        package: The library that it comes from, where that is another one than torch.
    """

    package: ClassVar[str] = ""
    name: str = Field(description="Architecture")

    @property
    def called(self) -> str:
        """What it is called in a message or a command."""
        return self.name

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
