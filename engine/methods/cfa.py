"""CFA: each class gets the attack and the regularisation that its own robustness can bear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.config import ShareOfRun
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig, Step
from engine.objective import TRADES
from engine.types import Assignment, Batch, one_hot

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register
class CfaConfig(MethodConfig):
    """CFA: class-wise calibrated fair adversarial training (Wei et al., CVPR 2023), on TRADES."""

    name: Literal["cfa"] = "cfa"
    paper: ClassVar[str] = "Wei et al., CVPR 2023"
    steers: ClassVar[bool] = True
    assigns: ClassVar[str] = (
        "c = 1 / (1 + beta_y), a = beta_y / (1 + beta_y), bound epsilon_y, from training robust "
        "accuracy; weights of good epochs are averaged"
    )
    beta: float = Field(6.0, ge=0, le=100, description="Weight of the KL term before calibration")
    bound_base: float = Field(
        0.3,
        ge=0,
        le=2,
        description="lambda 1: a class's ball is this plus its robust accuracy, in epsilons",
    )
    beta_base: float = Field(
        0.5, ge=0, le=2, description="lambda 2: its beta is this plus its robust accuracy, in betas"
    )
    fairness_from: Annotated[float, ShareOfRun("an epoch")] = Field(
        0.05, ge=0, le=1, description="Share of the run after which classes are calibrated"
    )
    average: bool = Field(
        True, description="Evaluate and export an average of the weights over epochs"
    )
    average_decay: float = Field(
        0.85, ge=0, lt=1, description="Share of that average that an epoch leaves as it was"
    )
    average_from: Annotated[float, ShareOfRun("nothing")] = Field(
        0.25, ge=0, le=1, description="Share of the run after which epochs join the average"
    )
    average_threshold: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Robust accuracy of the worst class on validation data that an epoch needs "
        "to join the average",
    )

    def build(self, learner: Learner) -> Cfa:
        return Cfa(self, learner)


class Cfa(Method):
    """c = 1 / (1 + beta_y), a = beta_y / (1 + beta_y), in balls of radius epsilon_y.

    With t_c the training robust accuracy of class c in the epoch before,
    epsilon_c = (lambda1 + t_c) epsilon and beta_c = (lambda2 + t_c) beta. Epochs in which no class
    is too weak are averaged (FAWA).
    """

    objective = TRADES

    def __init__(self, config: CfaConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        self.average_decay = config.average_decay if config.average else None
        self.accuracy = torch.zeros(learner.num_classes, device=learner.device)
        self.is_calibrated = False
        self._start_counting()

    def _start_counting(self) -> None:
        self.correct, self.count = torch.zeros_like(self.accuracy), torch.zeros_like(self.accuracy)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        width = strength = torch.ones(len(batch), device=batch.x.device)
        if self.is_calibrated:
            accuracy = self.accuracy[batch.y]
            width = self.config.bound_base + accuracy
            strength = self.config.beta_base + accuracy
        beta = strength * self.config.beta
        return Assignment(
            clean=1 / (1 + beta),
            adversary=beta / (1 + beta),
            anti_adversary=torch.zeros_like(beta),
            bound=width * self.learner.epsilon,
        )

    def learn(self, step: Step) -> bool:
        """Count which adversaries the model withstands, by class."""
        assert step.adversary_logits is not None
        y = step.batch.y
        member = one_hot(y, len(self.count), self.count.dtype)
        right = (step.adversary_logits.argmax(dim=1) == y).to(self.count.dtype)
        self.correct = self.correct + right @ member
        self.count = self.count + member.sum(dim=0)
        return False

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        seen = self.count > 0
        now = self.correct / self.count.clamp_min(1)
        self.accuracy = torch.where(seen, now, self.accuracy)
        self._start_counting()
        self.is_calibrated = epoch > 1 and self.learner.has_reached(
            self.config.fairness_from, epoch
        )

    def joins_average(self, epoch: int, validation: ClassErrors) -> bool:
        worst = 1 - validation.robust.max().item()
        begun = self.learner.has_reached(self.config.average_from, epoch)
        return begun and worst >= self.config.average_threshold

    def state(self) -> dict[str, Tensor]:
        return {"accuracy": self.accuracy, "correct": self.correct, "count": self.count}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.accuracy = state["accuracy"]
        self.correct, self.count = state["correct"], state["count"]
