"""PGD: steepest ascent on the cross-entropy inside the ball."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.attacks.base import ATTACKS, Conditions, EvaluationAttack, Procedure
from engine.config import Pixels
from engine.empty import Empty
from engine.lazy import F, torch
from engine.models.modes import channels_last
from engine.numbers import in_255ths
from engine.perturbation.norms import BALLS, Ball
from engine.perturbation.steps import random_start
from engine.seeds import torch_stream
from engine.types import Batch, DeviceImages

if TYPE_CHECKING:
    from torch import Tensor, nn

QUARTERS = 4
"""Steps of the default length, a quarter of the radius, that reach the edge of the ball."""


@ATTACKS.register
class Pgd(EvaluationAttack):
    """Towards deep learning models resistant to adversarial attacks (Madry et al., ICLR 2018).

    A walk ends at the first image that is not seen as its label: the others go on alone.
    """

    name: Literal["pgd"] = "pgd"
    num_steps: int = Field(20, ge=1, le=1000, description="Steps of each walk")
    step_size: Annotated[Pixels | None, Empty("epsilon / 4")] = Field(
        None, gt=0, description="Length of a step"
    )
    restarts: int = Field(1, ge=1, le=100, description="Walks from a uniform random start each")

    @property
    def step(self) -> float:
        return self.epsilon / 4 if self.step_size is None else self.step_size

    def reaching(self) -> Pgd:
        """Return the attack with a step that goes with its number of steps.

        Raises:
            ValueError: The steps of one's own do not reach the edge of the ball.
        """
        if not self.epsilon:
            return self
        if self.step_size is None:
            few = self.num_steps < QUARTERS
            step = self.epsilon / self.num_steps if few else None
            return self.model_copy(update={"step_size": step})
        if self.step_size * self.num_steps < self.epsilon * (1 - 1e-9):
            raise ValueError(
                f"{self.num_steps} of {in_255ths(self.step_size)} do not reach the radius of "
                f"{in_255ths(self.epsilon)}; allowed: at least "
                f"{math.ceil(self.epsilon / self.step_size * (1 - 1e-9))}"
            )
        return self

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
        self, model: nn.Module, images: DeviceImages, clean: Tensor, *, conditions: Conditions
    ) -> Tensor:
        said = clean.clone()
        # On a CPU the passes of a residual network take a quarter less time this way.
        fastest = channels_last(model) if clean.device.type == "cpu" else nullcontext()
        with fastest:
            for restart in range(self.restarts):
                for batch, first in self._starts(images, said, conditions, restart=restart):
                    conditions.check()
                    walk = partial(self._walk, model, batch, first)
                    share = (restart + int(batch.index[-1] + 1) / len(images)) / self.restarts
                    found = conditions.parts.part(batch.x, batch.y, walk, share=share)
                    said[batch.index] = found
        return said

    def _starts(
        self, images: DeviceImages, said: Tensor, conditions: Conditions, *, restart: int
    ) -> Iterator[tuple[Batch, Tensor]]:
        """Yield what is still seen right, in full batches, and where each walk begins.

        A start is drawn for every image: what has been broken does not change the other draws.
        """
        positions, size = torch.arange(len(images), device=said.device), conditions.batch_size
        waiting, starts = positions[:0], images.batch(positions[:0]).x
        for number, index in enumerate(positions.split(size)):
            rng = torch_stream(conditions.seed, f"attack {number}", restart, device=said.device)
            ball = self._ball(images.batch(index).x)
            first = random_start(ball, start="uniform", generator=rng)
            right = said[index] == images.labels[index]
            waiting, starts = torch.cat([waiting, index[right]]), torch.cat([starts, first[right]])
            if len(waiting) >= size:
                yield images.batch(waiting[:size]), starts[:size]
                waiting, starts = waiting[size:], starts[size:]
        if len(waiting):
            yield images.batch(waiting), starts

    def _ball(self, x: Tensor) -> Ball:
        return BALLS[self.norm](x, torch.full((len(x),), self.epsilon, device=x.device))

    def _walk(self, model: nn.Module, batch: Batch, first: Tensor) -> Tensor:
        """Return the class (B,) of the last image of each walk.

        A walk ends when it is wrong, and when it is back where it was two steps before: it would
        go to and fro between two images that are right.
        """
        found, left = batch.y.clone(), torch.arange(len(batch), device=batch.y.device)
        ball = self._ball(batch.x)
        x_moved = ball.clip(first)
        x_before = torch.full_like(x_moved, torch.nan)
        for number in range(self.num_steps + 1):
            if not len(left):
                break
            logits = model(x_moved.requires_grad_())
            found[left] = logits.argmax(dim=1)
            if number == self.num_steps:
                break
            loss = F.cross_entropy(logits, batch.y[left], reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x_moved)
            x_moved = x_moved.detach()
            x_next = ball.clip(torch.add(x_moved, ball.steepest(gradient), alpha=self.step))
            goes_on = (x_next != x_before).flatten(1).any(dim=1) & (found[left] == batch.y[left])
            if not goes_on.all():
                left, x_moved, x_next = left[goes_on], x_moved[goes_on], x_next[goes_on]
                ball = ball.take(goes_on)
            x_before, x_moved = x_moved, x_next
        return found
