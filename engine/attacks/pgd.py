"""PGD: steepest ascent on the cross-entropy inside the ball."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from engine.evaluation_attack import ATTACKS, Conditions, EvaluationAttack, Procedure
from engine.norm import BALLS, Ball
from engine.perturb import random_start
from engine.section import Pixels
from engine.seeds import torch_stream
from engine.types import Batch, DeviceImages


@ATTACKS.register
class Pgd(EvaluationAttack):
    """Towards deep learning models resistant to adversarial attacks (Madry et al., ICLR 2018).

    A walk ends at the first image that is not seen as its label: the others go on alone.
    """

    name: Literal["pgd"] = "pgd"
    num_steps: int = Field(20, ge=1, le=1000, description="Steps of each walk")
    step_size: Pixels | None = Field(
        None, gt=0, description="Length of a step; empty is epsilon / 4"
    )
    restarts: int = Field(1, ge=1, le=100, description="Walks from a uniform random start each")

    @property
    def step(self) -> float:
        return self.epsilon / 4 if self.step_size is None else self.step_size

    def procedure(self, num_classes: int) -> Procedure:
        times = f" x {self.restarts}" if self.restarts > 1 else ""
        return Procedure(
            label=f"PGD-{self.num_steps}{times}",
            loss="cross-entropy",
            num_steps=self.num_steps,
            step_size=self.step,
            restarts=self.restarts,
            start="uniform",
        )

    def attacked(
        self, model: nn.Module, images: DeviceImages, clean: Tensor, conditions: Conditions
    ) -> Tensor:
        said = clean.clone()
        positions = torch.arange(len(images), device=clean.device)
        for number, index in enumerate(positions.split(conditions.batch_size)):
            batch = images.batch(index)
            for restart in range(self.restarts):
                conditions.check()
                rng = torch_stream(conditions.seed, f"attack {number}", restart, clean.device)
                # Drawn for every image: what is left of a batch does not change its draws.
                first = random_start(self._ball(batch.x), start="uniform", generator=rng)
                left = (said[index] == batch.y).nonzero().squeeze(1)
                said[index[left]] = self._walk(model, _rows(batch, left), first[left])
        return said

    def _ball(self, x: Tensor) -> Ball:
        return BALLS[self.norm](x, torch.full((len(x),), self.epsilon, device=x.device))

    def _walk(self, model: nn.Module, batch: Batch, first: Tensor) -> Tensor:
        """Return the class (B,) of the last image of each walk; a walk ends when it is wrong."""
        found, left = batch.y.clone(), torch.arange(len(batch), device=batch.y.device)
        ball = self._ball(batch.x)
        x_moved = ball.clip(first)
        for number in range(self.num_steps + 1):
            if not len(left):
                break
            logits = model(x_moved.requires_grad_())
            found[left] = logits.argmax(dim=1)
            right = (found[left] == batch.y[left]).nonzero().squeeze(1)
            if number == self.num_steps:
                break
            loss = F.cross_entropy(logits, batch.y[left], reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x_moved)
            x_moved = x_moved.detach()
            if len(right) < len(left):
                left, x_moved, gradient = left[right], x_moved[right], gradient[right]
                ball = self._ball(batch.x[left])
            x_moved = ball.clip(x_moved + self.step * ball.steepest(gradient))
        return found


def _rows(batch: Batch, rows: Tensor) -> Batch:
    return Batch(batch.x[rows], batch.y[rows], batch.index[rows])
