"""PGD-20 as CAAT was released with it: on normalised images, clipped to [0, 1] there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.perturbation.norms import LinfBall
from engine.perturbation.spaces import NormalisedSpace
from engine.perturbation.steps import perturb, random_start

NUM_STEPS = 20


def released_attack(
    space: NormalisedSpace,
    x: Tensor,
    y: Tensor,
    *,
    rng: torch.Generator,
    epsilon: float,
    step: float,
) -> Tensor:
    """Return adversaries (B, channels, height, width) of normalised images, normalised too.

    A uniform start and signed steps up the cross-entropy. Radius and step are no pixels (D1 in
    docs/methods.md), and the clip moves most pixels by more than the radius (D2).
    """
    ball = LinfBall(x, torch.full((len(x),), epsilon, device=x.device))
    return perturb(
        lambda x_moved: F.cross_entropy(space(x_moved), y, reduction="none"),
        ball,
        random_start(ball, start="uniform", generator=rng),
        step=torch.full((len(x),), step, device=x.device),
        num_steps=NUM_STEPS,
    )
