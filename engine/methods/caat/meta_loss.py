"""What CAAT's assignments are judged by: a loss on clean, balanced meta images after a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from engine.lazy import torch
from engine.meta.prices import ClassPrices
from engine.meta.virtual_step import LossOfParameters, Parameters, prediction_with
from engine.methods.base import Learner
from engine.methods.caat.combination import class_weights
from engine.objective import Objective, per_sample_losses
from engine.types import Batch, one_hot

if TYPE_CHECKING:
    from torch import Tensor

MetaObjective: TypeAlias = Literal["priced", "worst-class"]
BatchNorm: TypeAlias = Literal["eval", "train"]
LEAN = 2.0
"""What an empty meta_lean stands for, per nat."""


@dataclass(frozen=True)
class MetaLoss:
    """CE + beta KL on meta images; there is no anti-adversary term.

    Attributes:
        learner: Whose model it is of, and whose attack makes the copies.
        prices, beta: w0, w1 and beta of ``priced``, which is
            sum w0 CE / sum w0 + beta sum w1 KL / sum w1.
        num_steps: Of the attack, each 2.5 / steps of the bound long (Madry et al. 2018); None is
            the attack in training.
        kind: ``worst-class`` reads no prices: sum_c q_c l_c, where l_c is the mean of CE + beta KL
            over a class's images and q = softmax(lean l) is a constant: one step of Group DRO
            (Sagawa et al. 2020) from equal shares, in every meta step anew.
        lean: How far q leans on the worst class, per nat; 0 is the average of the classes.
        batch_norm: Whether batch norm sees its running statistics or the meta batch's own.
    """

    learner: Learner
    prices: ClassPrices
    beta: float
    num_steps: int | None = None
    kind: MetaObjective = "priced"
    lean: float = LEAN
    batch_norm: BatchNorm = "eval"

    @property
    def objective(self) -> Objective:
        return Objective(climbs="kl", start="normal", clean=True, num_steps=self.num_steps)

    def on(self, batch: Batch, bound: Tensor) -> LossOfParameters:
        """Attack a batch of meta images in balls of radius bound (B,); return its loss."""
        log_p = self.learner.log_probabilities(batch.x)
        length = None if self.num_steps is None else bound * (2.5 / self.num_steps)
        copies = self.learner.attack(batch, log_p, bound, objective=self.objective, step=length)
        combine = self._priced if self.kind == "priced" else self._worst_class

        def loss(parameters: Parameters) -> Tensor:
            train = self.batch_norm == "train"
            predict = prediction_with(self.learner.model, parameters, train=train)
            return combine(
                per_sample_losses(predict, batch, copies, objective=self.objective), batch.y
            )

        return loss

    def _priced(self, losses: Tensor, y: Tensor) -> Tensor:
        w0, w1 = class_weights(self.prices, y)
        natural = (w0 * losses[:, 0]).sum() / w0.sum()
        return natural + self.beta * (w1 * losses[:, 1]).sum() / w1.sum()

    def _worst_class(self, losses: Tensor, y: Tensor) -> Tensor:
        member = one_hot(y, self.learner.num_classes, losses.dtype)
        count = member.sum(dim=0)
        each = (losses[:, 0] + self.beta * losses[:, 1]) @ member / count.clamp_min(1)
        share = (self.lean * each.detach()).masked_fill(count == 0, -torch.inf).softmax(dim=0)
        return (share * each).sum()
