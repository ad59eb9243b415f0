"""TRIX: strong classes get adversaries with a drawn target, weak ones the strongest there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.config import ShareOfRun
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.class_similarity import (
    WarmUpWeights,
    class_weights,
    similarity_of,
    sums_by_class,
)
from engine.methods.base import METHODS, Learner, Method, MethodConfig, Step
from engine.objective import TRADES
from engine.types import Assignment, Batch

if TYPE_CHECKING:
    from torch import Tensor

UNTARGETED = -1


@METHODS.register
class TrixConfig(MethodConfig):
    """TRIX: fairness by mixed adversarial training (Medi et al., arXiv 2025), on TRADES."""

    name: Literal["trix"] = "trix"
    paper: ClassVar[str] = "Medi et al., arXiv 2507.07768, 2025, as in the code of that name"
    assigns: ClassVar[str] = (
        "c = W_y, a = beta, bound epsilon W_y with the W of `dafa`; x+ of a class that is strong "
        "in its batch walks towards a drawn class"
    )
    beta: float = Field(6.0, ge=0, le=100, description="Weight of the KL term")
    scale: float = Field(
        1.0,
        ge=0,
        le=10,
        description="lambda: how far class weights move from 1; 1.5 suits 100 classes",
    )
    warm_up: Annotated[float, ShareOfRun("an epoch")] = Field(
        0.47,
        gt=0,
        le=1,
        description="Share of the run with class weights of 1, whose last epoch says how near "
        "classes are; targets are drawn from the first epoch on",
    )
    weight_floor: float = Field(
        0.05, gt=0, le=1, description="Smallest class weight; with many classes it could be below 0"
    )

    def build(self, learner: Learner) -> Trix:
        return Trix(self, learner)


def is_strong(p: Tensor, y: Tensor) -> Tensor:
    """Tell which samples (B,) are of a class that is strong in their batch.

    DAFA's class weights with lambda 1, of the batch's clean predictions, are below their mean over
    the samples.

    Args:
        p: (B, C) clean class probabilities.
        y: (B,) class indices.
    """
    similarity = similarity_of(*sums_by_class(p, y))
    weight = class_weights(similarity, scale=1.0, floor=-torch.inf)[y]
    return weight < weight.mean()


class Trix(Method):
    """c = W_y and a = beta in balls of radius epsilon W_y, as DAFA; some adversaries have a target.

    A strong sample's adversary descends CE(f(x'), t) to a class t drawn anew in each batch from all
    but y; the others climb TRADES' KL. Both take TRADES' loss. Public: the code that is published
    under the method's name (Fairness-a11y/TRIX) gives all of this, and the paper's abstract agrees
    (weaker, targeted adversaries with uniform targets for strong classes, stronger, untargeted ones
    for weak classes, with weights and bounds of earlier work). Ours: that this code stands for the
    paper, whose equations we did not compare; the floor of the weights; and that a batch without a
    class leaves it out, where the code fills in 1e-8. It costs one more look at the clean images
    per step than DAFA.
    """

    objective = TRADES

    def __init__(self, config: TrixConfig, learner: Learner) -> None:
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
            target=self._targets(batch),
        )

    def _targets(self, batch: Batch) -> Tensor:
        """Draw a class other than its own for each strong sample, (B,)."""
        y, num_classes = batch.y, self.learner.num_classes
        if num_classes == 1:
            return torch.full_like(y, UNTARGETED)
        strong = is_strong(self.learner.log_probabilities(batch.x).exp(), y)
        rng = self.learner.attack.rng
        away = torch.randint(1, num_classes, y.shape, generator=rng, device=y.device)
        return torch.where(strong, (y + away) % num_classes, UNTARGETED)

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
