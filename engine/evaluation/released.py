"""The evaluation that CAAT was released with (commit 9186f6d), for audit only.

PGD-20 on the cross-entropy with radius 8/255, steps of 2/255 and a uniform start, but all of it on
normalised tensors (D1 in docs/methods.md), and with a clip to [0, 1] there (D2). Every image is
attacked, also one that is wrong before. Clean predictions are made of images that are not clipped.
"""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from engine.attacks.base import Conditions
from engine.attacks.pgd import Pgd
from engine.evaluation.card import EvaluationCard, Subject, card_of
from engine.evaluation.evaluate import Outcomes
from engine.models.classifier import Classifier
from engine.models.modes import arithmetic, eval_mode, without_parameter_gradients
from engine.perturbation.released import NUM_STEPS, released_attack
from engine.perturbation.spaces import NormalisedSpace
from engine.seeds import torch_stream
from engine.types import ImageSet

RELEASED = Pgd(epsilon=8 / 255, step_size=2 / 255, num_steps=NUM_STEPS)
"""Its numbers; they are no pixels there."""


def examine_as_released(
    model: Classifier, images: ImageSet, conditions: Conditions, *, device: torch.device
) -> Outcomes:
    """Look at every image of a set, clean and attacked; an attack may mend a mistake.

    Args:
        model: From images in [0, 1] to logits, its first layer the normalisation.
        images: The set; errors count against its labels.
        conditions: Seed, batch size and the way to stop.
        device: Where the work is done.
    """
    space, on_device = NormalisedSpace(model), images.to(device)
    conditions.parts.begin()
    positions = torch.arange(len(images), device=device)
    clean, attacked = torch.empty_like(positions), torch.empty_like(positions)
    with eval_mode(model), without_parameter_gradients(model), arithmetic(tf32=False):
        for number, index in enumerate(positions.split(conditions.batch_size)):
            conditions.check()
            batch = on_device.batch(index)
            rng = torch_stream(conditions.seed, "released attack", number, device=device)
            x = space.enter(batch.x)
            clean[index] = space(x).argmax(dim=1)
            find = partial(_attacked, space, x, batch.y, rng=rng)
            share = int(index[-1] + 1) / len(images)
            attacked[index] = conditions.parts.part(batch.x, batch.y, find, share=share)
    return Outcomes(images.labels, clean.cpu().numpy(), attacked.cpu().numpy())


def _attacked(space: NormalisedSpace, x: Tensor, y: Tensor, *, rng: torch.Generator) -> Tensor:
    x_adv = released_attack(space, x, y, rng=rng, epsilon=RELEASED.epsilon, step=RELEASED.step)
    said: Tensor = space(x_adv).argmax(dim=1)
    return said


def card_as_released(
    model: Classifier, subject: Subject, conditions: Conditions, *, n: int
) -> EvaluationCard:
    """Return the protocol of `examine_as_released`, which says plainly that it is not in pixels."""
    card = card_of(RELEASED, subject, conditions, n=n)
    radii = ", ".join(f"{255 * RELEASED.epsilon * std:.2f}/255" for std in model.std.flatten())
    return replace(
        card,
        label=f"{card.label} as released",
        space="normalised tensors: radius, step and clip to [0, 1] apply to (x - mean) / std; in "
        f"pixels the radius is {radii} and the clip is not that of an image",
    )
