"""CAAT as the paper means it, without the defects of the released code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.learner import MetaLearner
from engine.meta.multipliers import ClassMultipliers
from engine.meta.virtual_step import LossOfParameters
from engine.methods.base import Learner, Step
from engine.methods.caat.combination import Combination
from engine.methods.caat.meta_loss import MetaLoss
from engine.methods.caat.policy import SATURATED, Weighting
from engine.objective import Objective
from engine.types import Assignment, Batch

if TYPE_CHECKING:
    from torch import Tensor

Bounds: TypeAlias = Literal["fixed", "remargin", "grad"]


class Caat(Weighting):
    """c = alpha w0, a = beta alpha w1, b = 1 - alpha, over batch means of alpha, w0 and w1.

    alpha and 1 - alpha come from the weighting network, which learns every ``meta_every`` batches
    by the gradient of the meta loss after one virtual step of the model (Eq. 9 to 11).
    """

    objective = Objective(
        climbs="kl", start="normal", clean=True, anti_adversary=True, characteristics=True
    )

    def __init__(  # noqa: PLR0913 - the settings of the method, by name
        self,
        learner: Learner,
        meta: MetaLearner,
        multipliers: ClassMultipliers,
        *,
        combination: Combination,
        meta_loss: MetaLoss,
        bounds: Bounds,
        samples: bool,
        meta_every: int,
        fairness_from: float,
    ) -> None:
        super().__init__(learner, meta, multipliers, prices=combination.prices)
        self.combination, self.meta_loss = combination, meta_loss
        self.bounds, self.samples = bounds, samples
        self.meta_every, self.fairness_from = meta_every, fairness_from

    # -- assignments

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        assert characteristics is not None
        with torch.no_grad():
            alpha = self._alpha(characteristics)
        weights = self.combination.weights(batch.y, alpha)
        clean, adversary, anti_adversary = weights.unbind(dim=1)
        return Assignment(
            clean,
            adversary,
            anti_adversary,
            bound=self._bound(batch, characteristics),
            probability=alpha.clamp(SATURATED, 1 - SATURATED) if self.samples else None,
        )

    def _alpha(self, characteristics: Characteristics) -> Tensor:
        weights: Tensor = self.network(characteristics)
        return weights[:, 0]

    def _bound(self, batch: Batch, characteristics: Characteristics | None) -> Tensor:
        epsilon = torch.full((len(batch),), self.learner.epsilon, device=batch.x.device)
        if self.bounds == "remargin":
            factors = self.multipliers.bound_factors(0.98, 2.5)
            return epsilon * factors[batch.y]
        if self.bounds == "grad" and characteristics is not None:
            norm = characteristics.gradient_norm
            return epsilon * (norm / norm.mean().clamp_min(1e-12)).clamp(0.5, 1.5)
        return epsilon

    # -- learning

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        self._start_counting()
        self.meta.start_epoch(epoch)
        moves = self.learner.has_reached(self.fairness_from, epoch)
        if validation is None or not moves:
            return
        self.multipliers.update(validation)
        if self.prices is not self.multipliers:
            self.prices.update(validation)

    def learn(self, step: Step) -> bool:
        assert step.characteristics is not None
        if step.number % self.meta_every:
            return False
        alpha = self._alpha(step.characteristics)
        weights = self.combination.weights(step.batch.y, alpha)
        meta_loss = self._meta_loss(self.meta.batch())
        gradient = self.learner.meta_gradient(
            step, weights, objective=self.objective, meta_loss=meta_loss
        )
        self.meta.descend(weights, gradient)
        self._gradient_norms.append(gradient.norm())
        self._count_saturated(alpha)
        return True

    def _meta_loss(self, batch: Batch) -> LossOfParameters:
        return self.meta_loss.on(batch, self._bound(batch, None))
