"""WAT: TRADES, weighed by an adversary that bets on the classes with the highest cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.class_means import Shrink, class_means
from engine.meta.prices import Hedge, hedge_cost
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import TRADES
from engine.types import Assignment, Batch

if TYPE_CHECKING:
    from torch import Tensor


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
    shrink: Shrink = False

    def build(self, learner: Learner) -> Wat:
        return Wat(self, learner)


class Wat(Method):
    """c = v and a = beta v with v = w_y + w_average, so (1/n) sum w_y l + w_average (1/n) sum l.

    v is 2 for every sample in the first epoch. Then Hedge over C + 1 experts, the classes and their
    average: w_k = C exp(eta S_k) / sum_j exp(eta S_j), where S_k sums expert k's cost CE + beta KL
    on validation data after each epoch.
    """

    objective = TRADES

    def __init__(self, config: WatConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        self.prices = Hedge(
            learner.num_classes, eta=config.eta, measure=self._costs, device=learner.device
        )

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        weight = self.prices.natural_weights()[batch.y]
        return Assignment(
            clean=weight,
            adversary=self.config.beta * weight,
            anti_adversary=torch.zeros_like(weight),
            bound=torch.full_like(weight, self.learner.epsilon),
        )

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        if epoch > 1:
            self.prices.update()

    def _costs(self) -> Tensor:
        """Return each class's mean cost on the validation set, then the mean of all, (C + 1,)."""
        learner = self.learner
        return class_means(
            self._cost, learner.validation, learner.num_classes, shrink=self.config.shrink
        )

    def _cost(self, batch: Batch) -> Tensor:
        """Return CE + beta KL of each sample, (B,), against the run's own attack, in eval mode."""
        log_p, log_q = self.learner.attacked(batch, self.objective)
        return hedge_cost(log_p, log_q, batch.y, beta=self.config.beta)

    def state(self) -> dict[str, Tensor]:
        return self.prices.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.prices.load_state(state)
