"""MART: adversarial training that leans on the samples that are wrong without an attack."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.lazy import F, torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import Objective, kl_divergence
from engine.types import Assignment, Batch, one_hot

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register
class MartConfig(MethodConfig):
    """MART: adversarial robustness, misclassified examples revisited (Wang et al., ICLR 2020)."""

    name: Literal["mart"] = "mart"
    paper: ClassVar[str] = "Wang et al., ICLR 2020"
    assigns: ClassVar[str] = "a = 1, l_adv = BCE(x+, y) + beta KL (1 - p_y(x))"
    beta: float = Field(
        5.0, ge=0, le=100, description="Weight of the KL term, which counts by 1 - p_y(x)"
    )

    def build(self, learner: Learner) -> Mart:
        return Mart(self, learner)


def mart_loss(logits_adv: Tensor, logits: Tensor, y: Tensor, *, beta: float) -> Tensor:
    """BCE(x+, y) + beta KL(p(x) || p(x+)) (1 - p_y(x)), (B,).

    BCE is the boosted cross-entropy -log p_y(x+) - log(1.0001 - max_{k != y} p_k(x+)), as released.
    """
    log_p, log_q = logits.log_softmax(dim=1), logits_adv.log_softmax(dim=1)
    p_label = log_p.gather(1, y[:, None]).squeeze(1).exp()
    label = one_hot(y, logits.shape[1], torch.bool)
    q_rival = log_q.exp().masked_fill(label, 0).amax(dim=1)
    boosted = F.cross_entropy(logits_adv, y, reduction="none") - (1.0001 - q_rival).log()
    return boosted + beta * kl_divergence(log_p, log_q) * (1 - p_label)


class Mart(Method):
    """a = 1, with a loss of its own on x+, which climbs the cross-entropy."""

    def __init__(self, config: MartConfig, learner: Learner) -> None:
        self.epsilon = learner.epsilon
        self.objective = Objective(
            climbs="ce", start="normal", adversary_loss=partial(mart_loss, beta=config.beta)
        )

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        one = torch.ones(len(batch), device=batch.x.device)
        zero = torch.zeros_like(one)
        return Assignment(zero, adversary=one, anti_adversary=zero, bound=one * self.epsilon)
