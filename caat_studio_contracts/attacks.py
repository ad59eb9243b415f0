"""What every attack of an evaluation promises."""

import numpy as np
import torch
from torch import Tensor, nn

from caat_studio_contracts.surroundings import digits, robust_model
from engine.attacks.base import Conditions, EvaluationAttack
from engine.evaluation.evaluate import Outcomes, examine
from engine.types import ImageSet

EPSILON = {"linf": 0.15, "l2": 0.6}
ORDER = {"linf": float("inf"), "l2": 2}


def look(
    model: nn.Module,
    images: ImageSet,
    attack: EvaluationAttack,
    *,
    batch_size: int = 250,
    seed: int = 0,
) -> Outcomes:
    """Return what a model says of images, clean and attacked."""
    conditions = Conditions(seed, batch_size)
    return examine(model, images, attack, conditions=conditions, device=torch.device("cpu"))


class Watched(nn.Module):
    """A model that keeps what it is shown."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.shown = model, list[Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.detach().clone())
        logits: Tensor = self.model(x)
        return logits


def gives_the_same_for_the_same_seed(attack: EvaluationAttack) -> Outcomes:
    """It finds the same twice, draws from no stream of others, and mends no mistake."""
    images, state = digits().take(np.arange(60)), torch.random.get_rng_state()
    first, again = (look(robust_model(), images, attack) for _ in range(2))
    assert np.array_equal(first.attacked, again.attacked)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (first.robust >= first.natural).all()
    return first


def shows_nothing_outside_the_ball(attack: EvaluationAttack) -> float:
    """No image that the model is asked about leaves the ball or [0, 1]; returns the farthest."""
    one = digits().take(np.arange(1))
    watched = Watched(robust_model())
    look(watched, one, attack)
    shown = torch.cat(watched.shown)
    assert len(shown) > 1, "the model was never asked about a moved image"
    assert shown.min() >= 0
    assert shown.max() <= 1
    moved = shown - torch.from_numpy(one.images).float() / 255
    distance = torch.linalg.vector_norm(moved, ORDER[attack.norm], dim=(1, 2, 3)).max()
    assert distance <= attack.epsilon * (1 + 1e-5)
    return float(distance)


def takes_few_classes_and_one_image(attack: EvaluationAttack, num_classes: int) -> Outcomes:
    """A model of so many classes and a single image are enough for it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes)).eval()
    image = digits().take(np.arange(1))
    seen = model(torch.from_numpy(image.images).float() / 255).argmax(dim=1).numpy()
    found = look(model, ImageSet(image.images, seen, seen, image.source), attack)
    assert 0 <= found.attacked[0] < num_classes
    assert attack.procedure(num_classes).label
    return found


class StopNowError(Exception):
    """What somebody raises who stops an attack."""


def can_be_stopped(attack: EvaluationAttack) -> None:
    """It asks, between batches at least, whether to go on."""

    def check() -> None:
        calls.append(None)
        if len(calls) > 1:  # the first is of the look at the clean images
            raise StopNowError

    calls: list[None] = []
    conditions = Conditions(0, 300, check)
    try:
        examine(robust_model(), digits(), attack, conditions=conditions, device=torch.device("cpu"))
    except StopNowError:
        return
    raise AssertionError("it never calls conditions.check()")
