"""CAAT: adversaries for some samples, anti-adversaries for others, chosen by meta-learning."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from engine.characteristics import Characteristics
from engine.fairness import ClassMultipliers
from engine.lazy import torch
from engine.meta import (
    LossOfParameters,
    MetaLearner,
    Parameters,
    prediction_with,
    weight_gradient,
)
from engine.method import (
    METHODS,
    ClassErrors,
    LearnedWeight,
    Learner,
    MethodConfig,
    Objective,
    Step,
)
from engine.objective import per_sample_losses
from engine.section import ShareOfRun
from engine.seeds import initialising
from engine.types import Assignment, Batch
from engine.weighting import SATURATED, Weighting, learned_weight

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.released import CaatAsReleased


@dataclass(frozen=True)
class Pace:
    """How fast a protocol learns: the fields of `CaatConfig` that differ between the two."""

    temperature: float
    meta_every: int
    meta_lr: float
    fairness_from: float


PACES = {
    "corrected": Pace(temperature=1.0, meta_every=4, meta_lr=0.01, fairness_from=0.25),
    "as-released": Pace(temperature=0.001, meta_every=50, meta_lr=1e-4, fairness_from=0.0),
}


@METHODS.register
class CaatConfig(MethodConfig):
    """Combining adversaries with anti-adversaries in training (Zhou, Yang, Wu; AAAI 2023).

    The corrected protocol: pixel-space bounds, live characteristics, detached features, class
    weights looked up by each batch's own labels, and a weighting network that can learn. The other
    one, `engine.released`, is the authors' code with its defects.
    """

    name: Literal["caat"] = "caat"
    protocol: Literal["corrected", "as-released"] = Field(
        "corrected",
        description="as-released: the authors' code with its defects, for audit; its radii are in "
        "normalised units and a quarter larger",
    )
    bounds: Literal["fixed", "remargin", "grad"] = Field(
        "remargin",
        description="Bound of a sample: epsilon; by its class's fairness multiplier; or by its own "
        "gradient norm (our reading of the paper's figure)",
    )
    copies: Literal["both", "sampled"] = Field(
        "both",
        description="both: the exact objective; sampled: one copy a sample, drawn by its weight, "
        "unbiased at about half the cost",
    )
    beta: float = Field(1.5, ge=0, le=100, description="Weight of the adversary's KL term")
    temperature: float | None = Field(
        None,
        ge=1e-4,
        le=100,
        description="Softmax temperature; empty is 1, or 0.001 as released, which freezes it",
    )
    meta_every: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Batches from one meta step to the next; empty is 4, or 50 as released",
    )
    meta_batch_size: int = Field(128, ge=2, le=8192, description="Meta images per meta step")
    meta_num_steps: int | None = Field(
        None,
        ge=1,
        le=200,
        description="Steps of the attack on the meta images, each 2.5 / steps of the bound long; "
        "empty: as in training",
    )
    meta_lr: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Learning rate of the weighting network; empty is 0.01, or 0.0001 as released",
    )
    meta_weight_decay: float = Field(5e-4, ge=0, le=1, description="Its L2 penalty")
    hidden: int = Field(100, ge=1, le=4096, description="Hidden units of the weighting network")
    normalise: bool = Field(
        True,
        description="Divide the adversary side by the batch's mean adversary weight; never as "
        "released",
    )
    fairness_from: Annotated[float | None, ShareOfRun()] = Field(
        None,
        ge=0,
        le=1,
        description="Share of the run after which the class multipliers move; empty is 0.25, or 0 "
        "as released",
    )
    slack: float = Field(0.07, ge=0, le=1, description="Excess error of a class that costs nothing")
    multiplier_rate: float = Field(0.05, ge=0, le=10, description="Step of the class multipliers")
    bound_rate: float = Field(0.2, ge=0, le=10, description="Step of the ReMargin multipliers")
    multiplier_limit: float = Field(
        0.5, gt=0, lt=1, description="Largest sum of the class multipliers; 1 would weigh a class 0"
    )

    @field_validator("bounds", "copies", "normalise", "meta_num_steps")
    @classmethod
    def _has_one_released_way(cls, value: object, info: ValidationInfo) -> object:
        own = cls.model_fields[str(info.field_name)].default
        if info.data.get("protocol") == "as-released" and value != own:
            raise ValueError(
                f"{value!r} is not valid with protocol as-released, whose code has one way only; "
                "allowed: leave it out"
            )
        return value

    @property
    def label(self) -> str:
        """Name the protocol unless it is the corrected one, and say if it has other settings."""
        if self.protocol == "corrected":
            return self.name
        own = CaatConfig(protocol=self.protocol, **asdict(PACES[self.protocol]))
        changed = self.model_copy(update=asdict(self.pace)) != own
        return f"{self.name} ({self.protocol}{', changed' if changed else ''})"

    @property
    def pace(self) -> Pace:
        """The protocol's own, where no other is set."""
        own = PACES[self.protocol]
        chosen = {name: getattr(self, name) for name in asdict(own)}
        return replace(own, **{name: v for name, v in chosen.items() if v is not None})

    def in_force(self) -> dict[str, Any]:
        return {**super().in_force(), **asdict(self.pace)}

    def meta_steps(self, num_steps: int) -> int:
        """As released the last batch of every ``meta_every`` learns, else the first."""
        released = self.protocol == "as-released"
        return (
            num_steps // self.pace.meta_every if released else -(-num_steps // self.pace.meta_every)
        )

    def build(self, learner: Learner) -> Caat | CaatAsReleased:
        if self.protocol == "corrected":
            return Caat(self, learner)
        from engine.released import CaatAsReleased

        with initialising(learner.seed, "weighting network"):
            network = self.network()
        return CaatAsReleased(
            learner,
            self.meta_learner(network, learner),
            self.multipliers(learner),
            beta=self.beta,
            meta_every=self.pace.meta_every,
            fairness_from=self.pace.fairness_from,
        )

    def network(self) -> nn.Module:
        from engine.weighting_networks import ReleasedNetwork, WeightingNetwork

        kind = WeightingNetwork if self.protocol == "corrected" else ReleasedNetwork
        return kind(self.hidden, self.pace.temperature)

    def learned_weight(self) -> LearnedWeight:
        return learned_weight(self.network())

    def meta_learner(self, network: nn.Module, learner: Learner) -> MetaLearner:
        return MetaLearner(
            network.to(learner.device),
            learner,
            lr=self.pace.meta_lr,
            weight_decay=self.meta_weight_decay,
            batch_size=self.meta_batch_size,
        )

    def multipliers(self, learner: Learner) -> ClassMultipliers:
        return ClassMultipliers(
            learner.num_classes,
            slack=self.slack,
            rate=self.multiplier_rate,
            bound_rate=self.bound_rate,
            limit=self.multiplier_limit,
        )


class Caat(Weighting):
    """c = alpha w0, a = beta alpha w1, b = 1 - alpha, with class weights over their batch mean.

    alpha and 1 - alpha come from the weighting network, which learns every ``meta_every`` batches
    by the gradient of the meta loss after one virtual step of the model (Eq. 9 to 11).
    """

    objective = Objective(
        climbs="kl", start="normal", clean=True, anti_adversary=True, characteristics=True
    )

    def __init__(self, config: CaatConfig, learner: Learner) -> None:
        self.config, self.pace = config, config.pace
        self.meta_objective = Objective(
            climbs="kl", start="normal", clean=True, num_steps=config.meta_num_steps
        )
        with initialising(learner.seed, "weighting network"):
            network = config.network()
        super().__init__(
            learner, config.meta_learner(network, learner), config.multipliers(learner)
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
            probability=alpha.clamp(SATURATED, 1 - SATURATED) if self._samples else None,
        )

    @property
    def _samples(self) -> bool:
        return self.config.copies == "sampled"

    def _alpha(self, characteristics: Characteristics) -> Tensor:
        weights: Tensor = self.network(characteristics)
        return weights[:, 0]

    def _weights(self, batch: Batch, alpha: Tensor) -> Tensor:
        """Return (B, 3): c, a and b, differentiable in alpha (B,)."""
        w0, w1 = self._class_weights(batch)
        # The scale is a constant to the network: with its gradient, every alpha could fall together
        # at no cost, and would.
        scale = alpha.detach().mean().clamp_min(0.05) if self.config.normalise else 1.0
        adversary_side = alpha / scale
        return torch.stack(
            [
                adversary_side * w0 / w0.mean(),
                self.config.beta * adversary_side * w1 / w1.mean(),
                1 - alpha,
            ],
            dim=1,
        )

    def _bound(self, batch: Batch, characteristics: Characteristics | None) -> Tensor:
        epsilon = torch.full((len(batch),), self.learner.epsilon, device=batch.x.device)
        if self.config.bounds == "remargin":
            factors = self.multipliers.bound_factors(0.98, 2.5).to(batch.y.device)
            return epsilon * factors[batch.y]
        if self.config.bounds == "grad" and characteristics is not None:
            norm = characteristics.gradient_norm
            return epsilon * (norm / norm.mean().clamp_min(1e-12)).clamp(0.5, 1.5)
        return epsilon

    # -- learning

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        self._start_counting()
        self.meta.start_epoch(epoch)
        moves = self.learner.has_reached(self.pace.fairness_from, epoch)
        if validation is not None and moves:
            self.multipliers.update(validation)

    def learn(self, step: Step) -> bool:
        assert step.characteristics is not None
        if step.number % self.pace.meta_every:
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
            return per_sample_losses(predict, step.batch, step.copies, self.objective)

        return losses

    def _meta_loss(self, batch: Batch) -> LossOfParameters:
        """Sum w0 CE / sum w0 + beta sum w1 KL / sum w1 on clean, balanced images; no anti term."""
        log_p = self.learner.log_probabilities(batch.x)
        bound = self._bound(batch, None)
        steps = self.config.meta_num_steps
        length = None if steps is None else bound * (2.5 / steps)  # Madry et al. 2018
        copies = self.learner.attack(batch, log_p, bound, self.meta_objective, length)
        w0, w1 = self._class_weights(batch)

        def loss(parameters: Parameters) -> Tensor:
            predict = prediction_with(self.learner.model, parameters, train=False)
            losses = per_sample_losses(predict, batch, copies, self.meta_objective)
            natural = (w0 * losses[:, 0]).sum() / w0.sum()
            return natural + self.config.beta * (w1 * losses[:, 1]).sum() / w1.sum()

        return loss
