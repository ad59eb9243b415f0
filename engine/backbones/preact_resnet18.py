"""PreAct-ResNet-18."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from engine.backbone import BACKBONES, BackboneConfig


@BACKBONES.register
class PreActResNet18Config(BackboneConfig):
    """Identity mappings in deep residual networks (He et al., ECCV 2016), 18 layers."""

    name: Literal["preact-resnet18"] = "preact-resnet18"
    width: int = Field(64, ge=1, le=512, description="Channels of the first stage; 64 is usual")

    def build(self, channels: int, size: int, num_classes: int) -> nn.Module:
        return PreActResNet18(channels, num_classes, self.width)


class PreActBlock(nn.Module):
    """Norm, ReLU, convolution, twice, around an identity (or 1x1) shortcut."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(fan_in)
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.shortcut = (
            nn.Conv2d(fan_in, fan_out, 1, stride, bias=False)
            if stride != 1 or fan_in != fan_out
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        hidden: Tensor = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return hidden + shortcut


class PreActResNet18(nn.Sequential):
    """Four stages of two blocks, a last norm and an average over the image."""

    def __init__(self, channels: int, num_classes: int, width: int) -> None:
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
        super().__init__(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            *stages,
            nn.BatchNorm2d(8 * width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8 * width, num_classes),
        )
