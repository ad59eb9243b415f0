"""The one loss that every method shares, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from engine.lazy import F, torch
from engine.types import Assignment, Batch, Copies, Draw, Start

if TYPE_CHECKING:
    from torch import Tensor

AdversaryLoss: TypeAlias = "Callable[[Tensor, Tensor, Tensor], Tensor]"
"""l_adv (B,) from the adversary's logits (B, C), the clean logits (B, C) and the labels (B,)."""
Predict: TypeAlias = "Callable[[Tensor], Tensor]"
"""From images (B, channels, h, w) to logits (B, C)."""


@dataclass(frozen=True)
class Objective:
    """Which terms of the loss a method uses, and what its adversary climbs.

    Attributes:
        climbs: What the adversary climbs: ``ce`` against the label, or ``kl`` from the clean
            prediction (label-free).
        start: The first guess of the inner attack.
        clean, adversary, anti_adversary: Whether the term can have a weight other than zero.
        characteristics: Whether the policy reads the samples' characteristics.
        adversary_loss: l_adv, where it is not the very loss that the adversary climbs.
        num_steps: Steps of the inner attack; None is the threat model's.
        space: Where the bounds are radii and the copies are moved (`engine.perturbation.spaces`).
        class_loss: What stands for every class's mean loss in the characteristics; None is that
            loss itself.
        attack_shift: (C,) what the training attack adds to the logits that it sees; None is
            nothing.
    """

    climbs: Literal["ce", "kl"]
    start: Start
    clean: bool = False
    adversary: bool = True
    anti_adversary: bool = False
    characteristics: bool = False
    adversary_loss: AdversaryLoss | None = None
    num_steps: int | None = None
    space: Literal["pixels", "normalised"] = "pixels"
    class_loss: float | None = None
    attack_shift: Tensor | None = None

    @property
    def reads_clean_logits(self) -> bool:
        """Whether the loss of a batch needs a pass of the clean images."""
        return self.clean or self.climbs == "kl" or self.adversary_loss is not None


PGD_AT = Objective(climbs="ce", start="uniform")
"""CE(f(x+), y) (Madry et al., ICLR 2018)."""
TRADES = Objective(climbs="kl", start="normal", clean=True)
"""CE(f(x), y) and KL(p(x) || p(x+)) (Zhang et al., ICML 2019)."""
LossName: TypeAlias = Literal["pgd-at", "trades"]
LOSSES: dict[LossName, Objective] = {"pgd-at": PGD_AT, "trades": TRADES}


def weighed(loss: LossName, weight: Tensor, *, beta: float, epsilon: float) -> Assignment:
    """Return weight (B,) times the assignment of PGD-AT, a = 1, or TRADES, c = 1 and a = beta."""
    nothing = torch.zeros_like(weight)
    is_trades = loss == "trades"
    return Assignment(
        clean=weight if is_trades else nothing,
        adversary=beta * weight if is_trades else weight,
        anti_adversary=nothing,
        bound=torch.full_like(weight, epsilon),
    )


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) of each row, (B,), from log-probabilities (B, C), in nats."""
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)


@dataclass(frozen=True)
class Logits:
    """What the model says of the three kinds of image, (B, C) each; None where none is needed."""

    clean: Tensor | None
    adversary: Tensor | None
    anti_adversary: Tensor | None


def logits_of(predict: Predict, batch: Batch, copies: Copies, *, objective: Objective) -> Logits:
    """Show the model every kind of image that the objective needs.

    Each kind is a forward pass of its own, so that in train mode batch norm sees one kind at a
    time, as in TRADES.
    """
    clean = batch.x if objective.reads_clean_logits else None
    shown = (clean, copies.adversary, copies.anti_adversary)
    return Logits(*(predict(x) if x is not None else None for x in shown))


def losses_of(
    logits: Logits, y: Tensor, objective: Objective, *, draw: Draw | None = None
) -> Tensor:
    """Return CE(f(x), y), l_adv(x, x+) and CE(f(x-), y) of each sample, (B, 3).

    A term that the objective does not use is a column of zeros. With a draw, the two columns of
    the copies are divided by the chance of the copy, and 0 where the sample got the other one.
    """
    nothing = torch.zeros(len(y), device=y.device)
    clean = logits.clean if objective.clean else None
    anti = logits.anti_adversary if draw is None else logits.adversary
    natural, anti_adversary = (
        nothing if said is None else F.cross_entropy(said, y, reduction="none")
        for said in (clean, anti)
    )
    adversary = nothing if logits.adversary is None else _adversary_loss(logits, y, objective)
    if draw is not None:
        for_adversary, for_anti = draw.scales
        adversary, anti_adversary = for_adversary * adversary, for_anti * anti_adversary
    return torch.stack([natural, adversary, anti_adversary], dim=1)


def _adversary_loss(logits: Logits, y: Tensor, objective: Objective) -> Tensor:
    assert logits.adversary is not None
    if objective.climbs == "ce" and objective.adversary_loss is None:
        return F.cross_entropy(logits.adversary, y, reduction="none")
    assert logits.clean is not None
    return (objective.adversary_loss or _divergence)(logits.adversary, logits.clean, y)


def _divergence(logits_adv: Tensor, logits: Tensor, y: Tensor) -> Tensor:
    return kl_divergence(logits.log_softmax(dim=1), logits_adv.log_softmax(dim=1))


def per_sample_losses(
    predict: Predict, batch: Batch, copies: Copies, *, objective: Objective
) -> Tensor:
    """Return the losses of a batch, (B, 3), from one look at each kind of image."""
    logits = logits_of(predict, batch, copies, objective=objective)
    return losses_of(logits, batch.target, objective, draw=copies.draw)
