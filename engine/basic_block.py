"""The residual block of the first residual networks."""

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two convolutions with norms around a shortcut that has no parameters.

    Where the width grows, the shortcut takes every second pixel and pads with zero channels
    (option A of the paper).
    """

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (fan_out - fan_in) // 2
        self.after = fan_out - fan_in - self.before
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(fan_out)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after)
        )
        hidden = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(hidden + shortcut)
