"""Natural, boundary and robust error, image by image and counted per class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.attacks.base import Conditions, EvaluationAttack
from engine.attacks.pgd import Pgd
from engine.config import Pixels, Section, Younger
from engine.empty import Empty
from engine.evaluation.error_names import BOUNDARY_ERROR, NATURAL_ERROR, ROBUST_ERROR
from engine.evaluation.statistics import class_counts, errors_by_class, errors_of, spread
from engine.lazy import torch
from engine.models.modes import arithmetic, eval_mode, without_parameter_gradients
from engine.perturbation.threat import ThreatConfig
from engine.types import BoolArray, Columns, DeviceImages, ImageSet, IntArray

if TYPE_CHECKING:
    from torch import Tensor, nn


class EvaluationConfig(Section):
    """How robustness is measured, on validation data each epoch and on test data at the end."""

    attack: Literal["pgd"] = Field(
        "pgd", description="PGD on the cross-entropy (Madry et al. 2018)"
    )
    num_steps: int = Field(20, ge=1, le=1000, description="Steps of the attack on the test data")
    val_num_steps: int = Field(
        10,
        ge=1,
        le=1000,
        description="Steps of the attack on validation data, each epoch; what FRL, ReWeight, CFA "
        "and CAAT learn from is measured with them too (released: 20)",
    )
    restarts: int = Field(
        1, ge=1, le=100, description="Random starts of the attack on the test data"
    )
    step_size: Annotated[Pixels | None, Empty("epsilon / 4")] = Field(
        None,
        gt=0,
        description="Step of the attack, written out where fewer than 4 steps would not reach the "
        "edge of the ball",
    )
    val_step_size: Annotated[Pixels | None, Empty("as on the test data"), Younger()] = Field(
        None,
        gt=0,
        description="The same for the validation data",
    )
    epsilon: Annotated[Pixels | None, Empty("the threat model's")] = Field(
        None, ge=0, description="Radius of the attack"
    )
    batch_size: int = Field(500, ge=1, le=10_000, description="Images attacked at a time")
    checkpoint: Literal["last", "best"] = Field(
        "last",
        description="Epoch that the test looks at: the last one, or the best on validation data "
        "(robust accuracy, average + worst class)",
    )


def attack_of(config: EvaluationConfig, threat: ThreatConfig, *, split: str) -> Pgd:
    """Return the attack that a scenario's evaluation runs on a split."""
    testing = split == "test"
    own_step = None if testing else config.val_step_size
    return Pgd(
        norm=threat.norm,
        epsilon=threat.epsilon if config.epsilon is None else config.epsilon,
        step_size=config.step_size if own_step is None else own_step,
        num_steps=config.num_steps if testing else config.val_num_steps,
        restarts=config.restarts if testing else 1,
    )


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
            NATURAL_ERROR: self.natural,
            BOUNDARY_ERROR: self.boundary,
            ROBUST_ERROR: self.robust,
        }

    def robust_score(self) -> float:
        """Return average + worst-class robust accuracy, 0 to 2, by which epochs are compared."""
        found = spread(self.robust, self.count)
        return 2 - found.average - found.worst


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
        return self._errors()[NATURAL_ERROR]

    @property
    def robust(self) -> BoolArray:
        """(N,): wrong with or without the attack; every natural error is one."""
        return self._errors()[ROBUST_ERROR]

    def _errors(self) -> dict[str, BoolArray]:
        return errors_of(self.label, self.clean, self.attacked)

    def columns(self, images: ImageSet) -> Columns:
        """Return them beside who the images are: sample, label, clean and attacked, (N,) each."""
        return {"sample": images.source, **vars(self)}


def examine(
    model: nn.Module,
    images: ImageSet,
    attack: EvaluationAttack,
    *,
    conditions: Conditions,
    device: torch.device,
) -> Outcomes:
    """Look at every image of a set, clean and attacked, in float32.

    Images that are wrong without an attack are robust errors already, whatever the attack does.

    Args:
        model: From images in [0, 1] to logits; it is put in eval mode for the time.
        images: The set; errors count against its labels.
        attack: How adversaries are looked for.
        conditions: Seed, batch size and the way to stop.
        device: Where the work is done.
    """
    on_device = images.to(device)
    conditions.parts.begin()
    with eval_mode(model), without_parameter_gradients(model), arithmetic(tf32=False):
        _require_eval(model)
        clean = _predictions(model, on_device, conditions)
        right = clean == on_device.labels
        attacked = clean
        if bool(right.any()):
            found = attack.attacked(model, on_device, clean, conditions=conditions)
            attacked = torch.where(right, found, clean)
        _require_eval(model)
    return Outcomes(images.labels, clean.cpu().numpy(), attacked.cpu().numpy())


def _require_eval(model: nn.Module) -> None:
    """Batch norm with a batch's own statistics would make outcomes depend on the neighbours."""
    assert not any(module.training for module in model.modules())


def _predictions(model: nn.Module, images: DeviceImages, conditions: Conditions) -> Tensor:
    """Return the class (N,) that a model sees in each image."""
    said = torch.empty_like(images.labels)
    positions = torch.arange(len(images), device=said.device)
    for index in positions.split(conditions.batch_size):
        conditions.check()
        with torch.no_grad():
            said[index] = model(images.batch(index).x).argmax(dim=1)
    return said


def count_by_class(found: Outcomes, num_classes: int) -> Evaluation:
    """Count the errors per class of the label."""
    wrong = errors_by_class(found.label, found.clean, found.attacked, num_classes=num_classes)
    return Evaluation(
        count=class_counts(found.label, num_classes),
        natural=wrong[NATURAL_ERROR],
        boundary=wrong[BOUNDARY_ERROR],
    )
