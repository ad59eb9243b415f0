"""Natural, boundary and robust error, counted per class, and the card that says how."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from engine.modes import eval_mode
from engine.norm import BALLS, NormName
from engine.perturb import ThreatConfig, perturb, random_start
from engine.section import Pixels, Section
from engine.types import BoolArray, ImageSet, IntArray


class EvaluationConfig(Section):
    """How robustness is measured, on validation data each epoch and on test data at the end."""

    attack: Literal["pgd"] = Field(
        "pgd", description="PGD on the cross-entropy (Madry et al. 2018)"
    )
    num_steps: int = Field(20, ge=1, le=1000, description="Steps of the attack on the test data")
    val_num_steps: int = Field(
        10, ge=1, le=1000, description="Steps of the attack on validation data, each epoch"
    )
    step_size: Pixels | None = Field(
        None, gt=0, description="Step of the attack; empty is epsilon / 4"
    )
    epsilon: Pixels | None = Field(
        None, ge=0, description="Radius of the attack; empty is the threat model's"
    )
    batch_size: int = Field(500, ge=1, le=10_000, description="Images attacked at a time")
    checkpoint: Literal["last", "best"] = Field(
        "last",
        description="Epoch that the test looks at: the last one, or the best on validation data "
        "(robust accuracy, average + worst class)",
    )


@dataclass(frozen=True)
class PgdAttack:
    """PGD with a uniform start, on the cross-entropy of the given label, in eval mode."""

    epsilon: float
    step_size: float
    num_steps: int
    norm: NormName = "linf"

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        """Return adversaries (B, channels, h, w) of images x with labels y (B,)."""
        epsilon = torch.full((len(x),), self.epsilon, device=x.device)
        ball = BALLS[self.norm](x, epsilon)
        return perturb(
            lambda x_moved: F.cross_entropy(model(x_moved), y, reduction="none"),
            ball,
            random_start(ball, start="uniform", generator=rng),
            step=torch.full_like(epsilon, self.step_size),
            num_steps=self.num_steps,
        )


def attack_of(config: EvaluationConfig, threat: ThreatConfig, *, split: str) -> PgdAttack:
    """Return the attack that a scenario's evaluation runs on a split."""
    epsilon = threat.epsilon if config.epsilon is None else config.epsilon
    step_size = epsilon / 4 if config.step_size is None else config.step_size
    num_steps = config.num_steps if split == "test" else config.val_num_steps
    return PgdAttack(epsilon, step_size, num_steps, threat.norm)


@dataclass(frozen=True)
class Evaluation:
    """Errors of one model on one set, counted per class of the true label, (C,) each.

    An image counts under attack as wrong if the model is wrong on it with or without the attack,
    so robust = natural + boundary holds sample by sample.
    """

    count: IntArray
    natural: IntArray
    boundary: IntArray

    @property
    def robust(self) -> IntArray:
        return self.natural + self.boundary

    def errors(self) -> dict[str, IntArray]:
        """Return the three counts by the name of their measure."""
        return {
            "natural_error": self.natural,
            "boundary_error": self.boundary,
            "robust_error": self.robust,
        }

    def robust_score(self) -> float:
        """Return average + worst-class robust accuracy, 0 to 2, by which epochs are compared."""
        present = self.count > 0
        worst = (self.robust[present] / self.count[present]).max()
        return float(2 - self.robust.sum() / self.count.sum() - worst)


@dataclass(frozen=True)
class Outcomes:
    """What a model says of each image of a set, (N,) each: the one record behind every figure.

    Attributes:
        label: The class that the image is of.
        clean: The class predicted of the image as it is.
        attacked: The class predicted of its adversary; where ``clean`` is wrong already there is
            none, and this is ``clean``.
    """

    label: IntArray
    clean: IntArray
    attacked: IntArray

    @property
    def natural(self) -> BoolArray:
        """(N,): wrong without an attack."""
        return np.not_equal(self.clean, self.label)

    @property
    def robust(self) -> BoolArray:
        """(N,): wrong with or without the attack; every natural error is one."""
        return np.not_equal(self.attacked, self.label)


def examine(
    model: nn.Module,
    images: ImageSet,
    attack: PgdAttack,
    *,
    batch_size: int,
    rng: torch.Generator,
    check: Callable[[], None] = lambda: None,
) -> Outcomes:
    """Look at every image of a set, clean and attacked.

    Images that are wrong without an attack are not attacked: they are robust errors already.

    Args:
        model: From images in [0, 1] to logits; it is put in eval mode for the time.
        images: The set; errors count against its labels.
        attack: From model, images, labels and a random stream to adversaries.
        batch_size: Images at a time.
        rng: The attack's random stream; its device is where the work is done.
        check: Called between batches; may raise to stop.
    """
    on_device = images.to(rng.device)
    positions = torch.arange(len(images), device=rng.device)
    clean, attacked = torch.empty_like(positions), torch.empty_like(positions)
    with eval_mode(model):
        for index in positions.split(batch_size):
            check()
            batch = on_device.batch(index)
            said = _predict(model, batch.x)
            clean[index] = said
            right = said == batch.y
            x, y = batch.x[right], batch.y[right]
            if len(y):
                said[right] = _predict(model, attack(model, x, y, rng))
            attacked[index] = said
    return Outcomes(images.labels, clean.cpu().numpy(), attacked.cpu().numpy())


def count_by_class(found: Outcomes, num_classes: int) -> Evaluation:
    """Count the errors per class of the label."""

    def per_class(chosen: BoolArray) -> IntArray:
        return np.bincount(found.label[chosen], minlength=num_classes).astype(np.int64)

    return Evaluation(
        count=per_class(np.ones(len(found.label), dtype=bool)),
        natural=per_class(found.natural),
        boundary=per_class(found.robust & ~found.natural),
    )


@torch.no_grad()
def _predict(model: nn.Module, x: Tensor) -> Tensor:
    said: Tensor = model(x).argmax(dim=1)
    return said


@dataclass(frozen=True)
class EvaluationCard:
    """The protocol behind a number. Two results with different cards are not one ranking.

    Attributes:
        method: Label of the method that trained the model.
    """

    method: str
    attack: str
    loss: str
    norm: str
    epsilon: float
    step_size: float
    num_steps: int
    restarts: int
    start: str
    split: str
    n: int
    subset: bool
    batch_norm: str
    checkpoint: str
    seed: int
    versions: dict[str, str]

    def as_json(self) -> dict[str, object]:
        return asdict(self)
