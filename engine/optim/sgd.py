"""SGD with a limit on its gradients."""

from typing import Any

import torch
from torch import nn


class ClippingSGD(torch.optim.SGD):
    """SGD that scales the gradient of all parameters down to a largest norm, if it has one."""

    def __init__(self, parameters: Any, *, clip_norm: float | None = None, **options: Any) -> None:
        super().__init__(parameters, **options)
        self.clip_norm = clip_norm

    def step(self, closure: Any = None) -> Any:
        if self.clip_norm is not None:
            mine = [p for group in self.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(mine, self.clip_norm)
        return super().step(closure)
