"""Adversaries and anti-adversaries inside a ball of each sample's own radius."""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from engine.section import Pixels, Section

Start = Literal["uniform", "normal"]


class ThreatConfig(Section):
    """The threat model, in pixels of an image in [0, 1], and the attack used in training."""

    norm: Literal["linf"] = Field("linf", description="Norm of the perturbation")
    epsilon: Pixels = Field(
        8 / 255, ge=0, le=1, description="Radius of the ball, in pixels of [0, 1]; write 8/255"
    )
    step_size: Pixels | None = Field(
        None, gt=0, le=1, description="Step of the training attack; empty is epsilon / 4"
    )
    num_steps: int = Field(10, ge=1, le=200, description="Steps of the training attack")
    epsilon_warmup_epochs: int = Field(
        0,
        ge=0,
        le=999,
        description="Epochs of the method in which the radius in training rises from 0 in a line",
    )

    @property
    def step(self) -> float:
        return self.epsilon / 4 if self.step_size is None else self.step_size

    def share_at(self, epochs_done: float) -> float:
        """Return the share of every radius in training after so many epochs of the method."""
        if epochs_done >= self.epsilon_warmup_epochs:
            return 1.0
        return epochs_done / self.epsilon_warmup_epochs


def random_start(x: Tensor, epsilon: Tensor, *, start: Start, generator: torch.Generator) -> Tensor:
    """Return a first guess beside each image.

    Args:
        x: (B, channels, height, width) in [0, 1].
        epsilon: (B,) radius of each ball.
        start: ``uniform`` in the ball (PGD, Madry et al. 2018), or ``normal`` with standard
            deviation 0.001 (TRADES, Zhang et al. 2019). Never x itself: there the gradient of a
            KL term is exactly zero.
        generator: Where the draws come from, on the device of x.
    """
    noise = torch.empty_like(x)
    if start == "normal":
        return x + 0.001 * noise.normal_(generator=generator)
    return x + epsilon.view(-1, 1, 1, 1) * noise.uniform_(-1, 1, generator=generator)


def perturb(
    loss: Callable[[Tensor], Tensor],
    x: Tensor,
    first: Tensor,
    *,
    epsilon: Tensor,
    step: Tensor,
    num_steps: int,
) -> Tensor:
    """Move each image along the sign of its loss's gradient, inside its own l-inf ball.

    Each step is ``x' <- clip(x' + step * sign(grad loss(x')))`` onto the ball
    and [0, 1] (PGD, Madry et al. 2018; a negative step is the anti-adversary's, Zhou et al. 2023).

    Args:
        loss: From images (B, channels, height, width) to a loss per sample (B,).
        x: The unperturbed images, in [0, 1]; a normalised image that is not comes back clipped.
        first: Where the walk starts; it is clipped onto the ball before the first step.
        epsilon: (B,) radius of each ball, in the units of ``x``, finite and not negative.
        step: (B,) length of a step in the units of ``x``; above 0 it climbs the loss (adversary),
            below 0 it descends (anti-adversary).
        num_steps: How many steps.

    Raises:
        ValueError: A radius is negative or not a finite number.
    """
    if not bool(((epsilon >= 0) & epsilon.isfinite()).all()):
        raise ValueError("every bound must be a finite number, at least 0")
    radius = epsilon.view(-1, 1, 1, 1)
    lower, upper = (x - radius).clamp_(0, 1), (x + radius).clamp_(0, 1)
    move = step.view(-1, 1, 1, 1)
    x_moved = torch.clamp(first, lower, upper)
    for _ in range(num_steps):
        x_moved.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(x_moved).sum(), x_moved)
        x_moved = torch.clamp(x_moved.detach() + move * gradient.sign_(), lower, upper)
    return x_moved
