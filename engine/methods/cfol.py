"""CFOL: an online learner bets on the classes whose adversaries succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig, Step
from engine.objective import LOSSES, LossName, weighed
from engine.types import Assignment, Batch, one_hot

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register
class CfolConfig(MethodConfig):
    """CFOL: class focused online learning (Pethick, Chrysos and Cevher, TMLR 2023)."""

    name: Literal["cfol"] = "cfol"
    paper: ClassVar[str] = "Pethick et al., TMLR 2023, our reading: by weights"
    assigns: ClassVar[str] = (
        "p_y N / n_y times that of `pgd-at` or `trades`, with p = gamma / C + (1 - gamma) q and q "
        "from training robust errors by exponential weights"
    )
    loss: LossName = Field("pgd-at", description="The loss that is weighed")
    beta: float = Field(6.0, ge=0, le=100, description="Weight of the KL term, with trades")
    eta: float = Field(
        0.2,
        ge=0,
        le=100,
        description="How much the logarithm of a class's weight grows in an epoch in which all of "
        "its adversaries succeed; a run much shorter than the paper's 200 epochs may want more",
    )
    gamma: float = Field(
        0.5, ge=0, le=1, description="Share of the class distribution that stays uniform"
    )

    def build(self, learner: Learner) -> Cfol:
        return Cfol(self, learner)


class Cfol(Method):
    """p_y N / n_y times the assignment of PGD-AT (a = 1) or TRADES (c = 1, a = beta).

    Public (Algorithm 1 and the released code): classes are drawn from p = gamma / C + (1 - gamma) q
    with q = softmax(w), and after each step w_c grows by eta_s e / p_c for each drawn sample of
    class c, where e is 1 if its adversary succeeded: Exp3's unbiased estimate of the class's error.
    Ours: batches are dealt as for every method, a sample of class c with chance n_c / N, and not
    drawn by class. So its loss counts for p_c N / n_c, which leaves the expected loss
    sum_c p_c L_c, and w_c grows by eta_s e N / n_c, which leaves the expected growth eta_s L_c per
    sample. With eta_s = eta / N that is eta times the class's training robust error in each epoch;
    the released 5e-6 on 40,000 images is eta = 0.2. A rare class keeps its few images, and their
    weights are large: gamma N / (C n_c) at least.
    """

    def __init__(self, config: CfolConfig, learner: Learner) -> None:
        self.config, self.epsilon = config, learner.epsilon
        self.objective = LOSSES[config.loss]
        self.counts = learner.class_counts.to(torch.get_default_dtype())
        self.scores = torch.zeros_like(self.counts)

    def distribution(self) -> Tensor:
        """Return p over the classes (C,); one without a training sample has no share."""
        present = self.counts > 0
        q = self.scores.masked_fill(~present, -torch.inf).softmax(dim=0)
        return self.config.gamma * present / present.sum() + (1 - self.config.gamma) * q

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        by_class = self.distribution() * self.counts.sum() / self.counts.clamp_min(1)
        weight = by_class[batch.y]
        config = self.config
        return weighed(config.loss, weight, beta=config.beta, epsilon=self.epsilon)

    def learn(self, step: Step) -> bool:
        """Raise the scores of the classes whose adversaries succeed, for the batches to come."""
        assert step.adversary_logits is not None
        y = step.batch.y
        wrong = (step.adversary_logits.argmax(dim=1) != y).to(self.scores.dtype)
        errors = wrong @ one_hot(y, len(self.scores), wrong.dtype)
        self.scores = self.scores + self.config.eta * errors / self.counts.clamp_min(1)
        return False

    def state(self) -> dict[str, Tensor]:
        return {"scores": self.scores}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.scores = state["scores"]
