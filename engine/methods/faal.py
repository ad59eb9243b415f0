"""FAAL: each mini-batch is weighed by the worst class distribution near the uniform one."""

from __future__ import annotations

import math
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
class FaalConfig(MethodConfig):
    """FAAL: fairness-aware adversarial learning (Zhang et al., CVPR 2024)."""

    name: Literal["faal"] = "faal"
    paper: ClassVar[str] = "Zhang et al., CVPR 2024"
    assigns: ClassVar[str] = (
        "K p_y times that of `pgd-at` or `trades`, with p the worst distribution over the K "
        "classes of the batch"
    )
    loss: Literal["pgd-at", "trades"] = Field("pgd-at", description="The loss that is weighed")
    beta: float = Field(6.0, ge=0, le=100, description="Weight of the KL term, with trades")
    tau: float = Field(
        0.5,
        gt=0,
        le=10,
        description="How far the class distribution may lie from the uniform one, in nats of KL",
    )
    fairness_from: Annotated[float, ShareOfRun("nothing")] = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the run of plain training first, for the paper's robust checkpoint",
    )

    def build(self, learner: Learner) -> Faal:
        return Faal(self, learner)


def margins_by_class(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each class's sum of margins, rival's minus label's probability, and its samples, (C,).

    Args:
        logits: (B, C) of the adversaries.
        labels: (B,) class indices.
    """
    p = logits.softmax(dim=1)
    one_hot = F.one_hot(labels, p.shape[1]).to(p.dtype)
    p_label, p_rival = (p * one_hot).sum(dim=1), (p - 2 * one_hot).amax(dim=1)
    return (p_rival - p_label) @ one_hot, one_hot.sum(dim=0)


def worst_distribution(gain: Tensor, tau: float) -> Tensor:
    """Return argmax_p sum_c p_c gain_c subject to KL(uniform || p) <= tau, (K,) float64 on the CPU.

    The optimum is p_c in proportion to 1 / (nu - gain_c) with nu above every gain; the KL falls as
    nu grows, so nu is found by bisection. Equal gains leave the uniform distribution.
    """
    gain = gain.detach().to("cpu", torch.float64)
    below = gain.max() - gain
    if below.max() == 0:
        return torch.full_like(below, 1 / len(below))
    below = below / below.max()
    low, high = math.log(1e-300), math.log(1e12)  # of nu - max(gain), in units of the range
    for _ in range(64):
        middle = (low + high) / 2
        share = _distribution(below, middle)
        divergence = -(share * len(share)).log().mean()
        low, high = (middle, high) if divergence > tau else (low, middle)
    return _distribution(below, high)


def _distribution(below: Tensor, log_distance: float) -> Tensor:
    share = 1 / (math.exp(log_distance) + below)
    return share / share.sum()


class Faal(Method):
    """K p_y times the assignment of PGD-AT (a = 1) or TRADES (c = 1, a = beta).

    p is the worst distribution over the K classes that the batch has, for their mean margins
    max_{k != y} p_k - p_y on x+; so the batch is attacked first and weighed after. The released
    code sums margins over a class's samples and gives a class without any a margin of 0, which is
    worse than that of all that the model knows: on imbalanced data, or with as many classes as a
    batch has samples, most of p then goes to classes that nobody learns from. Ours does neither.
    """

    def __init__(self, config: FaalConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        self.objective = (
            Objective(climbs="kl", start="normal", clean=True)
            if config.loss == "trades"
            else Objective(climbs="ce", start="uniform")
        )
        self.weights = torch.ones(learner.num_classes, device=learner.device)
        self._weighs = False

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        weight = self.weights[batch.y]
        zero, is_trades = torch.zeros_like(weight), self.config.loss == "trades"
        return Assignment(
            clean=weight if is_trades else zero,
            adversary=self.config.beta * weight if is_trades else weight,
            anti_adversary=zero,
            bound=torch.full_like(weight, self.learner.epsilon),
        )

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        self._weighs = self.learner.has_reached(self.config.fairness_from, epoch)

    def learn(self, step: Step) -> bool:
        """Weigh the classes of this batch; its assignment is asked again."""
        assert step.adversary_logits is not None
        if not self._weighs:
            return False
        total, count = margins_by_class(step.adversary_logits, step.batch.y)
        present = count > 0
        worst = worst_distribution(total[present] / count[present], self.config.tau)
        self.weights = torch.ones_like(self.weights)
        self.weights[present] = (len(worst) * worst).to(self.weights)
        return True
