"""AutoAttack: four attacks without parameters, the worst case of them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.attacks._pyautoattack import MIN_CLASSES, Members, num_targets, packages, run_members
from engine.attacks.base import (
    ATTACKS,
    Conditions,
    EvaluationAttack,
    Procedure,
    num_classes_of,
)
from engine.errors import UserError
from engine.types import DeviceImages

if TYPE_CHECKING:
    from torch import Tensor, nn

STANDARD = Members(("apgd-ce", "apgd-t", "fab-t", "square"))


@ATTACKS.register
class AutoAttack(EvaluationAttack):
    """Reliable evaluation with an ensemble of parameter-free attacks (Croce & Hein, ICML 2020).

    The standard version of the authors' package: APGD on the cross-entropy, targeted APGD on the
    DLR loss, targeted FAB and Square.
    """

    name: Literal["autoattack"] = "autoattack"

    def procedure(self, num_classes: int) -> Procedure:
        if num_classes < MIN_CLASSES:
            raise UserError(
                f"AutoAttack needs at least {MIN_CLASSES} classes for its targeted DLR loss, and "
                f"the model has {num_classes}; choose apgd"
            )
        return Procedure(
            label="AA",
            loss="cross-entropy, targeted DLR, targeted boundary distance, margin by queries",
            num_steps=100,
            step_size=None,
            restarts=1,
            start="uniform",
            targets=num_targets(num_classes),
            packages=packages(),
        )

    def attacked(
        self, model: nn.Module, images: DeviceImages, clean: Tensor, *, conditions: Conditions
    ) -> Tensor:
        self.procedure(num_classes_of(model, images))  # refuses too few classes
        return run_members(
            self, model, images, clean=clean, conditions=conditions, members=STANDARD
        )
