"""Adversaries and anti-adversaries inside a ball of each sample's own radius."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.lazy import torch
from engine.perturbation.norms import Ball
from engine.types import Start

if TYPE_CHECKING:
    from torch import Tensor


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
    for _ in range(num_steps):
        x_moved.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(x_moved).sum(), x_moved)
        x_moved = ball.clip(x_moved.detach() + move * ball.steepest(gradient))
    return x_moved
