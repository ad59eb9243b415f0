"""Baseline ReWeight: adversarial training that weighs up the classes with a high robust error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.config import ShareOfRun
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.multipliers import limited, positive_class_weights
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import PGD_AT
from engine.types import Assignment, Batch

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register
class ReweightConfig(MethodConfig):
    """Baseline ReWeight of fair robust learning (Xu et al., ICML 2021), our reading.

    The paper's table has the row and no equation: here classes are weighed by their robust error
    as one quantity, by the same multipliers that FRL uses for its two.
    """

    name: Literal["reweight"] = "reweight"
    paper: ClassVar[str] = "the baseline in Xu et al., ICML 2021, our reading"
    steers: ClassVar[bool] = True
    assigns: ClassVar[str] = "a = w_y / mean w, from validation robust errors; l_adv = CE"
    slack: float = Field(
        0.1, ge=0, le=1, description="Excess robust error of a class that costs nothing"
    )
    multiplier_rate: float = Field(0.05, ge=0, le=10, description="Step of the class multipliers")
    multiplier_limit: float = Field(
        0.5, gt=0, lt=1, description="Largest sum of the class multipliers; 1 would weigh a class 0"
    )
    fairness_from: Annotated[float, ShareOfRun()] = Field(
        0.25, ge=0, le=1, description="Share of the run after which the class multipliers move"
    )

    def build(self, learner: Learner) -> Reweight:
        return Reweight(self, learner)


class Reweight(Method):
    """a = w_y over its batch mean, so that the loss is sum w CE(f(x+), y) / sum w.

    l <- N(l + rate (robust_c - robust - slack)), w = 1/C + l - mean(l).
    """

    objective = PGD_AT

    def __init__(self, config: ReweightConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        self.multipliers = torch.zeros(learner.num_classes, device=learner.device)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        weight = positive_class_weights(self.multipliers)[batch.y]
        zero = torch.zeros_like(weight)
        bound = torch.full_like(weight, self.learner.epsilon)
        return Assignment(zero, weight / weight.mean(), anti_adversary=zero, bound=bound)

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        if validation is None or not self.learner.has_reached(self.config.fairness_from, epoch):
            return
        robust = validation.robust
        over = robust - robust.mean() - self.config.slack
        self.multipliers = limited(
            self.multipliers + self.config.multiplier_rate * over, self.config.multiplier_limit
        )

    def state(self) -> dict[str, Tensor]:
        return {"multipliers": self.multipliers}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.multipliers = state["multipliers"]
