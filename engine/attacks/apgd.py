"""APGD: PGD with momentum and a step that adapts, on the cross-entropy and the DLR loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from engine.attacks._pyautoattack import MIN_CLASSES, Members, num_targets, packages, run_members
from engine.attacks.base import (
    ATTACKS,
    Conditions,
    EvaluationAttack,
    Procedure,
    num_classes_of,
)
from engine.types import DeviceImages

if TYPE_CHECKING:
    from torch import Tensor, nn


@ATTACKS.register
class Apgd(EvaluationAttack):
    """Auto-PGD, the first two members of AutoAttack (Croce & Hein, ICML 2020).

    With fewer than four classes there is no targeted DLR loss, and the cross-entropy stands alone.
    """

    name: Literal["apgd"] = "apgd"
    restarts: int = Field(1, ge=1, le=100, description="Random starts on the cross-entropy")

    def procedure(self, num_classes: int) -> Procedure:
        targeted = num_classes >= MIN_CLASSES
        return Procedure(
            label="APGD" if targeted else "APGD-CE",
            loss="cross-entropy, targeted DLR" if targeted else "cross-entropy",
            num_steps=100,
            step_size=None,
            restarts=self.restarts,
            start="uniform",
            targets=num_targets(num_classes) if targeted else None,
            packages=packages(),
        )

    def attacked(
        self, model: nn.Module, images: DeviceImages, clean: Tensor, *, conditions: Conditions
    ) -> Tensor:
        targeted = num_classes_of(model, images) >= MIN_CLASSES
        names = ("apgd-ce", "apgd-t") if targeted else ("apgd-ce",)
        return run_members(
            self,
            model,
            images,
            clean=clean,
            conditions=conditions,
            members=Members(names, self.restarts),
        )
