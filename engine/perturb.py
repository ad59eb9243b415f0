"""Adversaries and anti-adversaries inside a ball of each sample's own radius."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from engine.lazy import torch
from engine.norm import LINF_EPSILON, Ball, NormName, require_within
from engine.section import Derived, Pixels, Section

if TYPE_CHECKING:
    from torch import Tensor

Start = Literal["uniform", "normal"]


class ThreatConfig(Section):
    """The threat model, in pixels of an image in [0, 1], and the attack used in training."""

    norm: NormName = Field(
        "linf",
        description="Norm of the perturbation: the largest change of a value, or the square root "
        "of the sum of squared changes",
    )
    epsilon: Annotated[Pixels, Derived()] = Field(
        LINF_EPSILON,
        ge=0,
        description="Radius of the ball, in pixels of [0, 1]; write 8/255. At most 1 in linf, the "
        "square root of the number of values of an image in l2; empty is 8/255 in linf, and in l2 "
        "what goes with it for the size of the images: 0.5 for 3 x 32 x 32",
    )
    step_size: Pixels | None = Field(
        None,
        gt=0,
        description="Step of the training attack, written out where fewer than 4 steps would not "
        "reach the edge of the ball; empty is epsilon / 4",
    )
    num_steps: int = Field(10, ge=1, le=200, description="Steps of the training attack")
    epsilon_warmup_epochs: int = Field(
        0,
        ge=0,
        le=999,
        description="Epochs of the method in which the radius in training rises from 0 in a line",
    )

    @model_validator(mode="before")
    @classmethod
    def _radius_goes_with_the_norm(cls, values: Any) -> Any:
        """Leave an empty radius to the default, which l2 has for a size of images alone."""
        if not isinstance(values, dict) or values.get("epsilon") is not None:
            return values
        if values.get("norm") == "l2":
            raise ValueError("norm l2 needs a radius; its default depends on the images")
        return {name: value for name, value in values.items() if name != "epsilon"}

    @field_validator("epsilon", "step_size")
    @classmethod
    def _fits_every_image(cls, distance: float | None, info: ValidationInfo) -> float | None:
        """Say a mistake in l-inf here, beside others; l2's limit depends on the images."""
        if distance is not None and info.data.get("norm") == "linf":
            require_within(distance, "linf", num_values=1)
        return distance

    @property
    def step(self) -> float:
        return self.epsilon / 4 if self.step_size is None else self.step_size

    def share_at(self, epochs_done: float) -> float:
        """Return the share of every radius in training after so many epochs of the method."""
        if epochs_done >= self.epsilon_warmup_epochs:
            return 1.0
        return epochs_done / self.epsilon_warmup_epochs


def random_start(ball: Ball, *, start: Start, generator: torch.Generator) -> Tensor:
    """Return a first guess beside each image, (B, channels, height, width).

    Args:
        ball: Where the copies may go.
        start: ``uniform`` in the ball (PGD, Madry et al. 2018), or ``normal`` with standard
            deviation 0.001 (TRADES, Zhang et al. 2019). Never x itself: there the gradient of a
            KL term is exactly zero.
        generator: Where the draws come from, on the device of x.
    """
    if start == "normal":
        return ball.x + 0.001 * torch.empty_like(ball.x).normal_(generator=generator)
    return ball.draw(generator)


def perturb(
    loss: Callable[[Tensor], Tensor], ball: Ball, first: Tensor, *, step: Tensor, num_steps: int
) -> Tensor:
    """Move each image along its loss's steepest direction, inside its own ball.

    Each step is ``x' <- clip(x' + step * steepest(grad loss(x')))`` onto the ball and [0, 1]; in
    l-inf the steepest direction is the gradient's sign, in l2 the gradient over its length (PGD,
    Madry et al. 2018; a negative step is the anti-adversary's, Zhou et al. 2023).

    Args:
        loss: From images (B, channels, height, width) to a loss per sample (B,).
        ball: The unperturbed images, and how far each may move.
        first: Where the walk starts; it is clipped onto the ball before the first step.
        step: (B,) length of a step in the ball's norm; above 0 it climbs the loss (adversary),
            below 0 it descends (anti-adversary).
        num_steps: How many steps.
    """
    move = step.view(-1, 1, 1, 1)
    x_moved = ball.clip(first)
    for _ in range(num_steps if bool(ball.radius.any()) else 0):  # nothing moves in empty balls
        x_moved.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(x_moved).sum(), x_moved)
        x_moved = ball.clip(x_moved.detach() + move * ball.steepest(gradient))
    return x_moved
