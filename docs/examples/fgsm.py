"""An attack of an evaluation in one file; its place is engine/attacks/fgsm.py."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from engine.attacks.base import ATTACKS, Conditions, EvaluationAttack, Procedure
from engine.lazy import F, torch
from engine.perturbation.norms import BALLS
from engine.types import Batch, DeviceImages

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
            batch, share = images.batch(index), int(index[-1] + 1) / len(images)
            step = partial(self._step, model, batch)
            said[index] = conditions.parts.part(batch.x, batch.y, step, share=share)
        return said

    def _step(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the class (B,) that the model sees at the edge of the ball."""
        x = batch.x.requires_grad_()
        loss = F.cross_entropy(model(x), batch.y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        radius = torch.full((len(batch.y),), self.epsilon, device=batch.y.device)
        ball = BALLS[self.norm](batch.x.detach(), radius)
        with torch.no_grad():
            return model(ball.clip(ball.x + self.epsilon * ball.steepest(gradient))).argmax(dim=1)
