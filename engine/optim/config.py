"""The optimiser: SGD, and how its gradients are clipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from engine.config import Younger
from engine.empty import Empty
from engine.lazy import nn, torch
from engine.optim.schedule import ScheduleConfig

if TYPE_CHECKING:
    from torch import Tensor

    from engine.optim.sgd import ClippingSGD


class TrainingConfig(ScheduleConfig):
    """How long and how the model learns, and what fixes its numbers to the last bit."""

    batch_size: int = Field(128, ge=8, le=8192, description="Images per step")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD")
    nesterov: bool = Field(False, description="Nesterov's momentum")
    weight_decay: float = Field(5e-4, ge=0, le=1, description="L2 penalty of SGD")
    clip_norm: Annotated[float | None, Empty("no limit")] = Field(
        None, gt=0, le=1e6, description="Largest norm of a step's gradient"
    )
    awp_gamma: Annotated[float | None, Empty("no perturbation"), Younger()] = Field(
        None,
        gt=0,
        le=1,
        description="Perturb the weights adversarially in each step (AWP), by this share of each "
        "layer's norm; 0.005 in the paper",
    )
    awp_from: Annotated[float, Younger()] = Field(
        0.0, ge=0, lt=1, description="Share of the method's epochs after which AWP begins"
    )
    ema_decay: Annotated[float | None, Empty("no average")] = Field(
        None,
        gt=0,
        lt=1,
        description="Average the weights over the steps with this decay, and evaluate and export "
        "the average; it forgets faster at first, so that a short run's is not its beginning",
    )
    augment: bool = Field(
        False,
        description="Shift each image by up to an eighth of its size and mirror every second one; "
        "not for digits, which have a left and a right",
    )
    start_from: Annotated[str | None, Empty("the seed's network"), Younger()] = Field(
        None,
        min_length=1,
        max_length=4096,
        description="Weights to start from: a run's id, a file of weights, or the SHA-256 of "
        "weights that are kept here; the stored scenario has the SHA-256",
    )
    with_meta: Annotated[bool, Younger()] = Field(
        False,
        description="Train on the meta images too, whatever the method: they stand behind the "
        "training images, with their true labels",
    )
    patience: Annotated[int | None, Empty("never")] = Field(
        None,
        ge=1,
        le=1000,
        description="Stop after so many epochs without a better validation robust accuracy "
        "(average + worst class)",
    )
    precision: Literal["float32", "bf16", "tf32"] = Field(
        "float32",
        description="Arithmetic of training: float32 as it is; bf16, which needs a GPU or CPU that "
        "has it; tf32, float32 whose factors an NVIDIA GPU rounds to 10 bits. Evaluation and the "
        "meta step's gradients are in float32",
    )
    channels_last: bool = Field(
        False, description="Keep weights and images with their channels last in memory"
    )
    record_every: int = Field(
        1, ge=1, le=1000, description="Store the per-sample weights every so many epochs"
    )
    record_steps: Annotated[bool, Younger()] = Field(
        False,
        description="Store of each sample how many steps of its adversary it withstood, where "
        "every sample has one: few may mean a wrong label",
    )
    num_threads: int = Field(
        1, ge=1, le=256, description="CPU threads; part of the scenario, as sums depend on it"
    )

    @field_validator("nesterov")
    @classmethod
    def _nesterov_needs_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        if nesterov and info.data.get("momentum") == 0:
            raise ValueError("true is not valid with momentum 0; Nesterov's needs some momentum")
        return nesterov

    @field_validator("awp_from")
    @classmethod
    def _awp_begins_only_where_there_is_one(cls, begins: float, info: ValidationInfo) -> float:
        if begins and "awp_gamma" in info.data and info.data["awp_gamma"] is None:
            raise ValueError(
                f"{begins:g} is not valid without awp_gamma, without which it changes nothing; "
                "allowed: leave it out"
            )
        return begins

    def awp_at(self, own_epoch: int) -> float | None:
        """Return AWP's gamma in an epoch of the method, counted from 1; None is no perturbation."""
        begins = (own_epoch - 1) / self.method_epochs >= self.awp_from
        return self.awp_gamma if begins else None

    def optimizer(self, model: nn.Module) -> ClippingSGD:
        from engine.optim.sgd import ClippingSGD

        return ClippingSGD(
            model.parameters(),
            clip_norm=self.clip_norm,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )


def clip(
    gradients: dict[str, Tensor], clip_norm: float
) -> tuple[dict[str, Tensor], Callable[[dict[str, Tensor]], dict[str, Tensor]]]:
    """Scale gradients as `ClippingSGD` does; also return the derivative of that scaling.

    With n = ||g|| and k = clip_norm / n the clipped gradient is k g, and its (symmetric)
    derivative takes u to k (u - <g, u> g / n^2): what changes the norm is lost.
    """
    norm = nn.utils.get_total_norm(list(gradients.values()))
    shifted = norm + 1e-6  # torch's own guard against a zero
    factor = (clip_norm / shifted).clamp_max(1.0)

    def derivative(direction: dict[str, Tensor]) -> dict[str, Tensor]:
        along = sum((gradients[name] * direction[name]).sum() for name in gradients)
        lost = along / (norm * shifted).clamp_min(torch.finfo(norm.dtype).tiny)
        lost = torch.where(factor < 1, lost, 0.0)
        return {name: factor * (direction[name] - lost * gradients[name]) for name in gradients}

    return {name: factor * gradient for name, gradient in gradients.items()}, derivative


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
