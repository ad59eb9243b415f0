"""Square: random search by queries alone, without a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from engine.attacks._pyautoattack import Members, packages, run_members
from engine.attacks.base import ATTACKS, Conditions, EvaluationAttack, Procedure
from engine.types import DeviceImages

if TYPE_CHECKING:
    from torch import Tensor, nn


@ATTACKS.register
class Square(EvaluationAttack):
    """Square attack, query-efficient and black-box (Andriushchenko et al., ECCV 2020).

    It sees logits only, so a model that hides its gradients gains nothing against it.
    """

    name: Literal["square"] = "square"
    num_queries: int = Field(5000, ge=1, le=1_000_000, description="Queries for each image")

    def procedure(self, num_classes: int) -> Procedure:
        return Procedure(
            label=f"Square-{self.num_queries}",
            loss="margin by queries",
            num_steps=self.num_queries,
            step_size=None,
            restarts=1,
            start="stripes",
            packages=packages(),
        )

    def attacked(
        self, model: nn.Module, images: DeviceImages, clean: Tensor, *, conditions: Conditions
    ) -> Tensor:
        members = Members(("square",), num_queries=self.num_queries)
        return run_members(self, model, images, clean=clean, conditions=conditions, members=members)
