"""CAAT as the paper means it, without the defects of the released code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.inputs import Inputs
from engine.meta.learner import MetaLearner
from engine.meta.multipliers import ClassMultipliers
from engine.meta.virtual_step import LossOfParameters
from engine.methods.base import Learner, Step
from engine.methods.caat.combination import Combination
from engine.methods.caat.meta_loss import MetaLoss
from engine.methods.caat.policy import SATURATED, Weighting
from engine.objective import Objective
from engine.types import Assignment, Batch, under

if TYPE_CHECKING:
    from torch import Tensor

    from engine.meta.networks import WeightingNetwork

Bounds: TypeAlias = Literal["fixed", "remargin", "grad"]


class Caat(Weighting):
    """c = alpha w0, a = beta alpha w1, b = 1 - alpha, over batch means of alpha, w0 and w1.

    alpha and 1 - alpha come from the weighting network, which learns every ``meta_every`` batches
    by the gradient of the meta loss after one virtual step of the model (Eq. 9 to 11).
    """

    network: WeightingNetwork
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
        inputs: Inputs,
    ) -> None:
        super().__init__(learner, meta, multipliers, prices=combination.prices)
        self.combination, self.meta_loss = combination, meta_loss
        self.bounds, self.samples = bounds, samples
        self.meta_every, self.fairness_from = meta_every, fairness_from
        self.inputs = inputs

    @property
    def told_by(self) -> str:
        return "clean_weight" if self.network.has_strength else super().told_by

    # -- assignments

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        assert characteristics is not None
        with torch.no_grad():
            alpha, weights = self._weights(batch, characteristics)
        clean, adversary, anti_adversary = weights.unbind(dim=1)
        return Assignment(
            clean,
            adversary,
            anti_adversary,
            bound=self._bound(batch, characteristics),
            probability=alpha.clamp(SATURATED, 1 - SATURATED) if self.samples else None,
        )

    def _weights(self, batch: Batch, characteristics: Characteristics) -> tuple[Tensor, Tensor]:
        """Return alpha, (B,), and c, a and b, (B, 3)."""
        shares, strength = self.network.read(self.inputs.table(characteristics, batch))
        alpha = shares[:, 0]
        weights = self.combination.weights(batch.y, alpha)
        # a sigmoid may underflow, and so would the mean of a batch of such samples
        mean = strength.detach().mean().clamp_min(torch.finfo(strength.dtype).eps)
        return alpha, weights * (strength / mean)[:, None]

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
        self.inputs.start_epoch()
        moves = self.learner.has_reached(self.fairness_from, epoch)
        if validation is None or not moves:
            return
        self.multipliers.update(validation)
        if self.prices is not self.multipliers:
            self.prices.update(validation)

    def learn(self, step: Step) -> bool:
        assert step.characteristics is not None
        self.inputs.look(step.characteristics, step.batch)
        if step.number % self.meta_every:
            return False
        alpha, weights = self._weights(step.batch, step.characteristics)
        meta_loss = self._meta_loss(self.meta.batch())
        gradient = self.learner.meta_gradient(
            step, weights, objective=self.objective, meta_loss=meta_loss
        )
        self.meta.descend(weights, gradient)
        self.inputs.learn(step.batch, gradient, weights)
        self._gradient_norms.append(gradient.norm())
        self._count_saturated(alpha)
        return True

    def _meta_loss(self, batch: Batch) -> LossOfParameters:
        return self.meta_loss.on(batch, self._bound(batch, None))

    # -- state

    def state(self) -> dict[str, Tensor]:
        return super().state() | {f"inputs.{name}": v for name, v in self.inputs.state().items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        super().load_state(state)
        self.inputs.load_state(under("inputs.", state))
