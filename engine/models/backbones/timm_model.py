"""Any classifier of timm, by its name there."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.errors import UserError
from engine.models.backbones.base import ARCHITECTURE, BACKBONES, BackboneConfig

if TYPE_CHECKING:
    from torch import nn


@BACKBONES.register
class TimmConfig(BackboneConfig):
    """A classifier of timm (PyTorch image models), for images of the data's own size."""

    package: ClassVar[str] = "timm"
    name: Literal["timm"] = "timm"
    architecture: str = Field(
        "resnet18",
        pattern=ARCHITECTURE,
        max_length=100,
        description="Its name in timm, which has to be installed; timm:resnet18 says both at once",
    )

    @property
    def called(self) -> str:
        return f"{self.name}:{self.architecture}"

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        """Build it without pretrained weights.

        Raises:
            UserError: Timm is not installed, has no such classifier, or that takes no such images.
        """
        from engine.models.backbones._foreign import FIELD, built, library

        timm = library(self.package, "timm")
        name = self.architecture.partition(".")[0]
        if name not in timm.list_models():
            near = get_close_matches(name, timm.list_models(), 3) or ["resnet18"]
            raise UserError(
                f"{FIELD}: timm has no classifier {name!r}; it has {', '.join(near)} and others"
            )
        return built(
            lambda: timm.create_model(name, pretrained=False, num_classes=num_classes),
            self.called,
            shape=(channels, size, num_classes),
        )
