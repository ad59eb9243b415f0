"""WAT: TRADES, weighed by an adversary that bets on the classes with the highest cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.evaluation.class_errors import ClassErrors
from engine.lazy import F, torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import Objective, kl_divergence
from engine.types import Assignment, Batch

if TYPE_CHECKING:
    from torch import Tensor

AT_A_TIME = 256
"""Validation images that are attacked at a time."""


@METHODS.register
class WatConfig(MethodConfig):
    """WAT: improve the worst-class robustness in adversarial training (Li and Liu, AAAI 2023)."""

    name: Literal["wat"] = "wat"
    paper: ClassVar[str] = "Li and Liu, AAAI 2023"
    steers: ClassVar[bool] = True
    assigns: ClassVar[str] = (
        "c = w_y + w_average, a = beta c, from validation costs; c = 2 in the first epoch, as "
        "released"
    )
    beta: float = Field(6.0, ge=0, le=100, description="Weight of the KL term")
    eta: float = Field(
        0.1,
        ge=0,
        le=10,
        description="How fast weight moves to a class of high cost (Hedge), per nat",
    )

    def build(self, learner: Learner) -> Wat:
        return Wat(self, learner)


class Wat(Method):
    """c = v and a = beta v with v = w_y + w_average, so (1/n) sum w_y l + w_average (1/n) sum l.

    v is 2 for every sample in the first epoch. Then Hedge over C + 1 experts, the classes and their
    average: w_k = C exp(eta S_k) / sum_j exp(eta S_j), where S_k sums expert k's cost CE + beta KL
    on validation data after each epoch.
    """

    objective = Objective(climbs="kl", start="normal", clean=True)

    def __init__(self, config: WatConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        self.costs = torch.zeros(learner.num_classes + 1, device=learner.device)

    def class_weights(self) -> Tensor:
        """w, (C + 1,), the last is the average's; all are 1 before the first costs, as released."""
        if not self.costs.any():
            return torch.ones_like(self.costs)
        return self.learner.num_classes * (self.config.eta * self.costs).softmax(dim=0)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        weights = self.class_weights()
        weight = weights[batch.y] + weights[-1]
        return Assignment(
            clean=weight,
            adversary=self.config.beta * weight,
            anti_adversary=torch.zeros_like(weight),
            bound=torch.full_like(weight, self.learner.epsilon),
        )

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        if epoch > 1:
            self.costs = self.costs + self._costs()

    def _costs(self) -> Tensor:
        """Return each class's mean cost on the validation set, then the mean of all, (C + 1,)."""
        images, num_classes = self.learner.validation, self.learner.num_classes
        total = torch.zeros(num_classes, device=self.learner.device)
        count = torch.zeros_like(total)
        for index in torch.arange(len(images), device=total.device).split(AT_A_TIME):
            batch = images.batch(index)
            one_hot = F.one_hot(batch.y, num_classes).to(total.dtype)
            total = total + self._cost(batch) @ one_hot
            count = count + one_hot.sum(dim=0)
        return torch.cat([total / count.clamp_min(1), total.sum(dim=0, keepdim=True) / count.sum()])

    def _cost(self, batch: Batch) -> Tensor:
        """Return CE + beta KL of each sample, (B,), against the run's own attack, in eval mode."""
        log_p = self.learner.log_probabilities(batch.x)
        bound = torch.full((len(batch),), self.learner.epsilon, device=batch.x.device)
        copies = self.learner.attack(batch, log_p, bound, objective=self.objective)
        assert copies.adversary is not None
        log_q = self.learner.log_probabilities(copies.adversary)
        clean = F.nll_loss(log_p, batch.y, reduction="none")
        return clean + self.config.beta * kl_divergence(log_p, log_q)

    def state(self) -> dict[str, Tensor]:
        return {"costs": self.costs}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.costs = state["costs"]
