"""The optimiser and its schedule."""

import math
from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from engine.section import Section


class TrainingConfig(Section):
    """How long and how the model learns, and what fixes its numbers to the last bit."""

    epochs: int = Field(30, ge=1, le=1000, description="Passes over the training set")
    batch_size: int = Field(128, ge=8, le=8192, description="Images per step")
    lr: float = Field(0.05, gt=0, le=10, description="Learning rate of the first epoch")
    schedule: Literal["constant", "cosine", "multistep"] = Field(
        "cosine", description="How the learning rate falls from epoch to epoch"
    )
    milestones: tuple[float, ...] = Field(
        (0.5, 0.75),
        description="multistep: shares of the run after which the rate is divided by 10",
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD")
    nesterov: bool = Field(False, description="Nesterov's momentum")
    weight_decay: float = Field(5e-4, ge=0, le=1, description="L2 penalty of SGD")
    record_every: int = Field(
        1, ge=1, le=1000, description="Store the per-sample weights every so many epochs"
    )
    num_threads: int = Field(
        1, ge=1, le=256, description="CPU threads; part of the scenario, as sums depend on it"
    )

    @field_validator("milestones")
    @classmethod
    def _milestones_are_shares(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < share < 1 for share in milestones):
            raise ValueError(
                f"{list(milestones)} is not valid; every milestone lies between 0 and 1"
            )
        return milestones

    @field_validator("nesterov")
    @classmethod
    def _nesterov_needs_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        if nesterov and info.data.get("momentum") == 0:
            raise ValueError("true is not valid with momentum 0; Nesterov's needs some momentum")
        return nesterov

    def optimizer(self, model: nn.Module) -> torch.optim.SGD:
        return torch.optim.SGD(
            model.parameters(),
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )

    def lr_at(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 1.

        A closed form of the epoch, so that a run which resumes there needs no other state.
        """
        done = (epoch - 1) / self.epochs
        if self.schedule == "cosine":
            return self.lr * (1 + math.cos(math.pi * done)) / 2
        if self.schedule == "multistep":
            return float(self.lr * 0.1 ** sum(done >= share for share in self.milestones))
        return self.lr


def momentum_buffers(optimizer: torch.optim.SGD, model: nn.Module) -> dict[str, Tensor]:
    """Return the momentum of each parameter that has one, by the parameter's name."""
    found = {
        name: optimizer.state[parameter].get("momentum_buffer")
        for name, parameter in model.named_parameters()
    }
    return {name: buffer for name, buffer in found.items() if buffer is not None}


def load_momentum_buffers(
    optimizer: torch.optim.SGD, model: nn.Module, buffers: dict[str, Tensor]
) -> None:
    """Take back what `momentum_buffers` returned."""
    for name, parameter in model.named_parameters():
        if name in buffers:
            optimizer.state[parameter]["momentum_buffer"] = buffers[name]


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
