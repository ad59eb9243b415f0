"""DAFA: classes that are taken for their neighbours get more weight and a wider ball."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.config import ShareOfRun
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import F, torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig, Step
from engine.objective import Objective
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


def class_weights(similarity: Tensor, *, scale: float, floor: float) -> Tensor:
    """Move weight, pair by pair, from the class that is easier to the one that is harder.

    For each pair i != j: if S_ii < S_jj then W_i += scale S_ij S_jj, else W_i -= scale S_ji S_ii.

    Args:
        similarity: S (C, C), the mean adversarial prediction of each class; a row of zeros where
            a class has no samples, which then gives and takes nothing.
        scale: The paper's lambda.
        floor: What each weight is raised to.
    """
    own = similarity.diagonal()
    is_harder = own[:, None] < own[None, :]
    gain = torch.where(is_harder, similarity * own[None, :], -similarity.T * own[:, None])
    return (1 + scale * gain.fill_diagonal_(0).sum(dim=1)).clamp_min(floor)


class Dafa(Method):
    """c = W_y and a = beta, in balls of radius epsilon W_y with steps to match."""

    objective = Objective(climbs="kl", start="normal", clean=True)

    def __init__(self, config: DafaConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        self.weights = torch.ones(learner.num_classes, device=learner.device)
        self._start_gathering()

    def _start_gathering(self) -> None:
        num_classes, device = self.learner.num_classes, self.learner.device
        self.predicted = torch.zeros(num_classes, num_classes, device=device)
        self.count = torch.zeros(num_classes, device=device)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        weight = self.weights[batch.y]
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
            one_hot = F.one_hot(step.batch.y, len(self.count)).to(self.count.dtype)
            self.predicted = self.predicted + one_hot.T @ step.adversary_logits.softmax(dim=1)
            self.count = self.count + one_hot.sum(dim=0)
        return False

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        if epoch > 1 and self._is_warming_up(epoch - 1) and not self._is_warming_up(epoch):
            similarity = self.predicted / self.count.clamp_min(1)[:, None]
            self.weights = class_weights(
                similarity, scale=self.config.scale, floor=self.config.weight_floor
            )
            self._start_gathering()

    def state(self) -> dict[str, Tensor]:
        return {"weights": self.weights, "predicted": self.predicted, "count": self.count}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.weights, self.predicted = state["weights"], state["predicted"]
        self.count = state["count"]
