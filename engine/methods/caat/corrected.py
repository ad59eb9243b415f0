"""CAAT as the paper means it, without the defects of the released code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.learner import MetaLearner
from engine.meta.multipliers import ClassMultipliers
from engine.meta.prices import ClassPrices
from engine.meta.virtual_step import (
    LossOfParameters,
    Parameters,
    prediction_with,
    weight_gradient,
)
from engine.methods.base import Learner, Step
from engine.methods.caat.policy import SATURATED, Weighting
from engine.objective import Objective, per_sample_losses
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
        prices: ClassPrices,
        beta: float,
        bounds: Bounds,
        samples: bool,
        normalise: bool,
        normalise_prices: bool,
        meta_every: int,
        meta_num_steps: int | None,
        fairness_from: float,
    ) -> None:
        super().__init__(learner, meta, multipliers, prices=prices)
        self.beta, self.bounds, self.samples = beta, bounds, samples
        self.normalise, self.normalise_prices = normalise, normalise_prices
        self.meta_every, self.meta_num_steps = meta_every, meta_num_steps
        self.fairness_from = fairness_from
        self.meta_objective = Objective(
            climbs="kl", start="normal", clean=True, num_steps=meta_num_steps
        )

    # -- assignments

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        assert characteristics is not None
        with torch.no_grad():
            alpha = self._alpha(characteristics)
        clean, adversary, anti_adversary = self._weights(batch, alpha).unbind(dim=1)
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

    def _weights(self, batch: Batch, alpha: Tensor) -> Tensor:
        """Return (B, 3): c, a and b, differentiable in alpha (B,)."""
        w0, w1 = self._class_weights(batch)
        # The scale is a constant to the network: with its gradient, every alpha could fall together
        # at no cost, and would.
        scale = alpha.detach().mean().clamp_min(0.05) if self.normalise else 1.0
        adversary_side = alpha / scale
        return torch.stack(
            [
                adversary_side * w0 / self._mean_price(w0),
                self.beta * adversary_side * w1 / self._mean_price(w1),
                1 - alpha,
            ],
            dim=1,
        )

    def _mean_price(self, weights: Tensor) -> Tensor | float:
        """Return what class weights (B,) are divided by: the batch's mean, or that of all."""
        return weights.mean() if self.normalise_prices else self.prices.unit

    def _bound(self, batch: Batch, characteristics: Characteristics | None) -> Tensor:
        epsilon = torch.full((len(batch),), self.learner.epsilon, device=batch.x.device)
        if self.bounds == "remargin":
            factors = self.multipliers.bound_factors(0.98, 2.5).to(batch.y.device)
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
        weights = self._weights(step.batch, alpha)
        gradient = weight_gradient(
            self.learner.model,
            self.learner.optimizer,
            losses=step.losses,
            weights=weights,
            losses_at=self._training_losses(step),
            meta_loss=self._meta_loss(self.meta.batch()),
        )
        self.meta.descend(weights, gradient)
        self._gradient_norms.append(gradient.norm())
        self._count_saturated(alpha)
        return True

    def _training_losses(self, step: Step) -> LossOfParameters:
        def losses(parameters: Parameters) -> Tensor:
            predict = prediction_with(self.learner.model, parameters, train=True)
            return per_sample_losses(predict, step.batch, step.copies, objective=self.objective)

        return losses

    def _meta_loss(self, batch: Batch) -> LossOfParameters:
        """Sum w0 CE / sum w0 + beta sum w1 KL / sum w1 on clean, balanced images; no anti term."""
        log_p = self.learner.log_probabilities(batch.x)
        bound = self._bound(batch, None)
        steps = self.meta_num_steps
        length = None if steps is None else bound * (2.5 / steps)  # Madry et al. 2018
        copies = self.learner.attack(
            batch, log_p, bound, objective=self.meta_objective, step=length
        )
        w0, w1 = self._class_weights(batch)

        def loss(parameters: Parameters) -> Tensor:
            predict = prediction_with(self.learner.model, parameters, train=False)
            losses = per_sample_losses(predict, batch, copies, objective=self.meta_objective)
            natural = (w0 * losses[:, 0]).sum() / w0.sum()
            return natural + self.beta * (w1 * losses[:, 1]).sum() / w1.sum()

        return loss
