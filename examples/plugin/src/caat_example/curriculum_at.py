"""A training method: PGD-AT whose balls grow, so that it learns from easy adversaries first."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from caat_studio.plugins import (
    PGD_AT,
    Assignment,
    Batch,
    Characteristics,
    ClassErrors,
    Learner,
    Method,
    MethodConfig,
    torch,
)


class CurriculumAtConfig(MethodConfig):
    """Curriculum adversarial training, in its simplest form (Cai et al., IJCAI 2018)."""

    name: Literal["curriculum-at"] = "curriculum-at"
    paper: ClassVar[str] = "Cai et al., IJCAI 2018"
    assigns: ClassVar[str] = "a = 1, bound = epsilon min(1, epoch / (full_from epochs))"
    full_from: float = Field(
        0.5, gt=0, le=1, description="Share of the run after which every ball has its full radius"
    )

    def build(self, learner: Learner) -> CurriculumAt:
        return CurriculumAt(learner.epsilon, self.full_from * learner.epochs)


class CurriculumAt(Method):
    """a = 1, and everybody has the same bound, which grows from epoch to epoch."""

    objective = PGD_AT

    def __init__(self, epsilon: float, grows_for: float) -> None:
        """Keep the full radius, and for how many epochs the bound grows towards it."""
        self.epsilon, self.grows_for = epsilon, grows_for
        self.share = 1.0

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        self.share = min(1.0, epoch / self.grows_for)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        one = torch.ones(len(batch), device=batch.x.device)
        zero = torch.zeros_like(one)
        return Assignment(zero, one, zero, self.share * self.epsilon * one)

    def diagnostics(self) -> dict[str, float]:
        return {"share_of_radius": self.share}
