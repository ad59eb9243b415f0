"""Any classifier of torchvision, by its name there."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.errors import UserError
from engine.models.backbones.base import ARCHITECTURE, BACKBONES, BackboneConfig

if TYPE_CHECKING:
    from torch import nn

_FIXED: dict[str, dict[str, int]] = {"googlenet": {"aux_logits": False, "init_weights": True}}
_FIXED["inception_v3"] = _FIXED["googlenet"]


@BACKBONES.register
class TorchvisionConfig(BackboneConfig):
    """A classifier of torchvision, as it builds it for images of the data's own size."""

    package: ClassVar[str] = "torchvision"
    name: Literal["torchvision"] = "torchvision"
    architecture: str = Field(
        "resnet18",
        pattern=ARCHITECTURE,
        max_length=100,
        description="Its name in torchvision; torchvision:resnet50 says both at once",
    )

    @property
    def called(self) -> str:
        return f"{self.name}:{self.architecture}"

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        """Build it without pretrained weights.

        Raises:
            UserError: Torchvision cannot be loaded, has no such classifier, or that takes no such
                images.
        """
        from engine.models.backbones._foreign import FIELD, built, library

        models = library(self.package, "torchvision.models")
        known = models.list_models(module=models)
        if self.architecture not in known:
            near = get_close_matches(self.architecture, known, 3) or known[:3]
            raise UserError(
                f"{FIELD}: torchvision has no classifier {self.architecture!r}; it has "
                f"{', '.join(near)} and others"
            )
        options: dict[str, int] = dict(_FIXED.get(self.architecture, {}))
        if self.architecture.startswith("vit_"):
            options["image_size"] = size
        return built(
            lambda: models.get_model(
                self.architecture, weights=None, num_classes=num_classes, **options
            ),
            self.called,
            shape=(channels, size, num_classes),
        )
