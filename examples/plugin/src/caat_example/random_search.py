"""An attack of an evaluation: images drawn anywhere in the ball, the least an attack can do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from caat_studio.plugins import (
    BALLS,
    Batch,
    Conditions,
    DeviceImages,
    EvaluationAttack,
    Procedure,
    torch,
)

if TYPE_CHECKING:
    from torch import Tensor, nn


class RandomSearch(EvaluationAttack):
    """Draws in the ball of each image until one of them is seen as another class."""

    name: Literal["random-search"] = "random-search"
    num_draws: int = Field(10, ge=1, le=10_000, description="Images drawn in each ball")

    def procedure(self, num_classes: int) -> Procedure:
        return Procedure(
            label=f"Random-{self.num_draws}",
            loss="none",
            num_steps=self.num_draws,
            step_size=None,
            restarts=1,
            start="uniform",
        )

    def attacked(
        self, model: nn.Module, images: DeviceImages, clean: Tensor, *, conditions: Conditions
    ) -> Tensor:
        said = clean.clone()
        positions = torch.arange(len(images), device=clean.device)
        for number, index in enumerate(positions.split(conditions.batch_size)):
            batch, share = images.batch(index), int(index[-1] + 1) / len(images)
            search = partial(self._search, model, batch, conditions, number=number)
            said[index] = conditions.parts.part(batch.x, batch.y, search, share=share)
        return said

    def _search(
        self, model: nn.Module, batch: Batch, conditions: Conditions, *, number: int
    ) -> Tensor:
        """Return the class (B,) that the model sees: of a draw that is seen wrong, or the label."""
        rng = torch.Generator(batch.y.device).manual_seed(conditions.seed * 1_000_003 + number)
        ball = BALLS[self.norm](batch.x, torch.full((len(batch),), self.epsilon).to(batch.x))
        found = batch.y.clone()
        for _ in range(self.num_draws):
            conditions.check()
            with torch.no_grad():
                seen = model(ball.clip(ball.draw(rng))).argmax(dim=1)
            found = torch.where(found == batch.y, seen, found)
        return found
