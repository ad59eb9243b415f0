"""FAAL: each mini-batch is weighed by the worst class distribution near the uniform one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.config import ShareOfRun
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig, Step
from engine.objective import LOSSES, LossName, weighed
from engine.types import Assignment, Batch, one_hot

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
    loss: LossName = Field("pgd-at", description="The loss that is weighed")
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


POINTS = 255
"""Places that the worst distribution is looked for at once: 8 bits."""


def margins_by_class(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each class's sum of margins, rival's minus label's probability, and its samples, (C,).

    Args:
        logits: (B, C) of the adversaries.
        labels: (B,) class indices.
    """
    p = logits.softmax(dim=1)
    member = one_hot(labels, p.shape[1], p.dtype)
    p_label, p_rival = (p * member).sum(dim=1), (p - 2 * member).amax(dim=1)
    return (p_rival - p_label) @ member, member.sum(dim=0)


def worst_distribution(gain: Tensor, tau: float, present: Tensor | None = None) -> Tensor:
    """Return argmax_p sum_c p_c gain_c subject to KL(uniform || p) <= tau, (C,) float64.

    The optimum is p_c in proportion to 1 / (nu - gain_c) with nu above every gain. The KL falls as
    nu grows, so nu is found by looking at `POINTS` places between two bounds at once, and again
    between the two that enclose it: as many bits as float64 has, and nothing that a device has to
    be waited for. Equal gains leave the uniform distribution.

    Args:
        gain: (C,).
        tau: The largest KL, in nats.
        present: (C,) bool, the classes over which p and the uniform distribution lie, at least one;
            None is all.
    """
    gain = gain.detach().double()
    there = torch.ones_like(gain, dtype=torch.bool) if present is None else present
    num = there.sum()
    below = gain.masked_fill(~there, -torch.inf).max() - gain
    widest = below.masked_fill(~there, 0.0).max()
    below = below / torch.where(widest > 0, widest, 1.0)

    def shares(log_distance: Tensor) -> Tensor:
        """Return p (G, C) at nu = max gain + exp(log_distance) times the range of the gains."""
        share = (1 / (log_distance.exp()[:, None] + below)).masked_fill(~there, 0.0)
        return share / share.sum(dim=1, keepdim=True)

    ends = torch.tensor([math.log(1e-300), math.log(1e12)], dtype=gain.dtype, device=gain.device)
    places = torch.linspace(0, 1, POINTS + 2, dtype=gain.dtype, device=gain.device)
    for _ in range(8):
        grid = ends[0] + (ends[1] - ends[0]) * places
        logs = (shares(grid[1:-1]) * num).log().masked_fill(~there, 0.0)
        before = (-logs.sum(dim=1) / num > tau).sum()
        ends = grid.index_select(0, torch.stack([before, before + 1]))
    return torch.where(widest > 0, shares(ends[1:])[0], there / num)


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
        self.objective = LOSSES[config.loss]
        self.weights = torch.ones(learner.num_classes, device=learner.device)
        self._weighs = False

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        config, weight = self.config, self.weights[batch.y]
        return weighed(config.loss, weight, beta=config.beta, epsilon=self.learner.epsilon)

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        self._weighs = self.learner.has_reached(self.config.fairness_from, epoch)

    def learn(self, step: Step) -> bool:
        """Weigh the classes of this batch; its assignment is asked again."""
        assert step.adversary_logits is not None
        if not self._weighs:
            return False
        total, count = margins_by_class(step.adversary_logits, step.batch.y)
        present = count > 0
        worst = worst_distribution(total / count.clamp_min(1), self.config.tau, present)
        weights = (present.sum() * worst).to(self.weights.dtype)
        self.weights = torch.where(present, weights, 1.0)
        return True
