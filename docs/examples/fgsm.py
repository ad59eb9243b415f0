"""An attack of an evaluation in one file; its place is engine/attacks/fgsm.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.attacks.base import ATTACKS, Conditions, EvaluationAttack, Procedure
from engine.lazy import F, torch
from engine.perturbation.norms import BALLS
from engine.types import DeviceImages

if TYPE_CHECKING:
    from torch import Tensor, nn


@ATTACKS.register
class Fgsm(EvaluationAttack):
    """One step to the edge of the ball (Goodfellow et al., ICLR 2015)."""

    name: Literal["fgsm"] = "fgsm"

    def procedure(self, num_classes: int) -> Procedure:
        return Procedure(
            label="FGSM",
            loss="cross-entropy",
            num_steps=1,
            step_size=self.epsilon,
            restarts=1,
            start="the image",
        )

    def attacked(
        self, model: nn.Module, images: DeviceImages, clean: Tensor, *, conditions: Conditions
    ) -> Tensor:
        said = clean.clone()
        for index in torch.arange(len(images), device=clean.device).split(conditions.batch_size):
            conditions.check()
            batch = images.batch(index)
            x = batch.x.requires_grad_()
            loss = F.cross_entropy(model(x), batch.y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x)
            radius = torch.full((len(index),), self.epsilon, device=clean.device)
            ball = BALLS[self.norm](batch.x.detach(), radius)
            with torch.no_grad():
                moved = ball.clip(ball.x + self.epsilon * ball.steepest(gradient))
                said[index] = model(moved).argmax(dim=1)
        return said
