"""DAFA: classes that are taken for their neighbours get more weight and a wider ball."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.config import ShareOfRun
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.class_similarity import WarmUpWeights
from engine.methods.base import METHODS, Learner, Method, MethodConfig, Step
from engine.objective import TRADES
from engine.types import Assignment, Batch

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register
class DafaConfig(MethodConfig):
    """DAFA: distance-aware fair adversarial training (Lee et al., ICLR 2024), on TRADES."""

    name: Literal["dafa"] = "dafa"
    paper: ClassVar[str] = "Lee et al., ICLR 2024"
    assigns: ClassVar[str] = (
        "c = W_y, a = beta, bound epsilon W_y, from adversarial predictions at the end of the "
        "warm-up"
    )
    beta: float = Field(6.0, ge=0, le=100, description="Weight of the KL term")
    scale: float = Field(
        1.0,
        ge=0,
        le=10,
        description="lambda: how far class weights move from 1; 1.5 suits 100 classes",
    )
    warm_up: Annotated[float, ShareOfRun("an epoch")] = Field(
        0.64,
        gt=0,
        le=1,
        description="Share of the run of plain TRADES, whose last epoch says how near classes are",
    )
    weight_floor: float = Field(
        0.05, gt=0, le=1, description="Smallest class weight; with many classes it could be below 0"
    )

    def build(self, learner: Learner) -> Dafa:
        return Dafa(self, learner)


class Dafa(Method):
    """c = W_y and a = beta, in balls of radius epsilon W_y with steps to match."""

    objective = TRADES

    def __init__(self, config: DafaConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        self.warmed = WarmUpWeights(learner.num_classes, learner.device)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        weight = self.warmed.weights[batch.y]
        return Assignment(
            clean=weight,
            adversary=torch.full_like(weight, self.config.beta),
            anti_adversary=torch.zeros_like(weight),
            bound=weight * self.learner.epsilon,
            step=weight * self.learner.step_size,
        )

    def _is_warming_up(self, epoch: int) -> bool:
        return not self.learner.has_reached(self.config.warm_up, epoch)

    def learn(self, step: Step) -> bool:
        """Gather the adversarial predictions of the last warm-up epoch, by class."""
        assert step.adversary_logits is not None
        if self._is_warming_up(step.epoch) and not self._is_warming_up(step.epoch + 1):
            self.warmed.gather(step.adversary_logits, step.batch.y)
        return False

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        if epoch > 1 and self._is_warming_up(epoch - 1) and not self._is_warming_up(epoch):
            self.warmed.settle(scale=self.config.scale, floor=self.config.weight_floor)

    def state(self) -> dict[str, Tensor]:
        return self.warmed.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.warmed.load_state(state)
