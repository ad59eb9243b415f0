"""A one-step contextual bandit: what a policy that draws its actions learns from their rewards.

Letters: B samples, A actions. The policy of a sample is a distribution pi over A actions; it draws
one, sees the reward of that one alone, and moves so that actions of high reward become likelier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.lazy import torch
from engine.types import one_hot

if TYPE_CHECKING:
    from torch import Tensor


def explored(logits: Tensor, share: float) -> Tensor:
    """Return log pi, (B, A): softmax(logits), mixed with a uniform share of 0 to 1.

    No action is ever less likely than share / A, so that none is for ever unseen, and no chance
    that something is divided by is 0.
    """
    uniform = share / logits.shape[1]
    return ((1 - share) * logits.softmax(dim=1) + uniform).log()


def drawn(log_chances: Tensor, generator: torch.Generator) -> Tensor:
    """Draw an action of each sample, (B,), from log pi (B, A), by inverting its distribution.

    Chances that are NaN draw the first action: that a run has diverged is said where it is looked
    for, and not by a draw that breaks off.
    """
    device = log_chances.device
    point = torch.rand(len(log_chances), 1, generator=generator, device=device)
    passed = log_chances.exp().cumsum(dim=1) < point
    return passed.sum(dim=1).clamp_max(log_chances.shape[1] - 1)


def entropy(log_chances: Tensor) -> Tensor:
    """-sum_a pi log pi of each sample, (B,), in nats: 0 to ln A."""
    return -(log_chances.exp() * log_chances).sum(dim=1)


def surrogate(
    log_chances: Tensor,
    before: Tensor,
    *,
    taken: Tensor,
    advantage: Tensor,
    clip: float,
) -> Tensor:
    """Return what the policy climbs, a scalar (Schulman et al. 2017, Eq. 7).

    mean_i min(r_i A_i, clip(r_i, 1 - clip, 1 + clip) A_i) with r = pi(taken) / pi_before(taken).
    At the policy that drew the actions its gradient is the policy gradient mean_i A_i grad log pi
    (Williams 1992); in further passes over the same rewards the clip bounds how far it goes.

    Args:
        log_chances: (B, A) log pi, with its graph.
        before: (B, A) log pi that the actions were drawn with.
        taken: (B,) actions.
        advantage: (B,) reward over what was to be expected.
        clip: How far the ratio counts.
    """
    ratio = (_of(log_chances, taken) - _of(before, taken)).exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()


def _of(table: Tensor, column: Tensor) -> Tensor:
    return table.gather(1, column[:, None]).squeeze(1)


class ClassBaseline:
    """The mean reward of each class, the last weighing most: what is to be expected.

    A baseline that does not know the action leaves the expected gradient as it is, and takes from
    its variance what classes differ by (Williams 1992).

    Attributes:
        total, weight: (C,) decayed sums of rewards and of their number; the mean is their ratio.
    """

    def __init__(self, num_classes: int, *, decay: float, device: torch.device) -> None:
        self.decay = decay
        self.total = torch.zeros(num_classes, device=device)
        self.weight = torch.zeros(num_classes, device=device)

    def expected(self, y: Tensor) -> Tensor:
        """Return the mean reward of labels y (B,), (B,); 0 for a class of which none was seen."""
        return (self.total / self.weight.clamp_min(torch.finfo(self.weight.dtype).tiny))[y]

    def update(self, reward: Tensor, y: Tensor) -> None:
        """Take in the rewards (B,) of labels y (B,); a class without any stays as it is."""
        member = one_hot(y, len(self.total), reward.dtype)
        count = member.sum(dim=0)
        kept = torch.where(count > 0, self.decay, 1.0)
        self.total = kept * self.total + reward @ member
        self.weight = kept * self.weight + count

    def state(self) -> dict[str, Tensor]:
        return {"total": self.total, "weight": self.weight}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.total, self.weight = state["total"], state["weight"]
