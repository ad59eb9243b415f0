"""CAAT: adversaries for some samples, anti-adversaries for others, chosen by meta-learning."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from engine.characteristics import Characteristics
from engine.fairness import ClassMultipliers
from engine.meta import (
    LossOfParameters,
    MetaLearner,
    Parameters,
    prediction_with,
    weight_gradient,
)
from engine.method import METHODS, ClassErrors, Learner, Method, MethodConfig, Objective, Step
from engine.objective import per_sample_losses
from engine.seeds import initialising
from engine.types import Assignment, Batch, under

ON_ADVERSARY_SIDE = 2.0
"""Where the weighting network's last bias starts: alpha is about 0.88 for every sample."""
SATURATED = 0.01
"""A weight this near to 0 or 1 passes on almost no gradient."""


@METHODS.register
class CaatConfig(MethodConfig):
    """Combining adversaries with anti-adversaries in training (Zhou, Yang, Wu; AAAI 2023).

    The corrected protocol: pixel-space bounds, live characteristics, detached features, class
    weights looked up by each batch's own labels, and a weighting network that can learn.
    """

    name: Literal["caat"] = "caat"
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
    temperature: float = Field(
        1.0, ge=1e-4, le=100, description="Softmax temperature; 0.001 (released code) freezes it"
    )
    meta_every: int = Field(
        4, ge=1, le=10_000, description="Batches from one meta step to the next"
    )
    meta_batch_size: int = Field(128, ge=2, le=8192, description="Meta images per meta step")
    meta_num_steps: int | None = Field(
        None,
        ge=1,
        le=200,
        description="Steps of the attack on the meta images, each 2.5 / steps of the bound long; "
        "empty: as in training",
    )
    meta_lr: float = Field(0.01, gt=0, le=1, description="Learning rate of the weighting network")
    meta_weight_decay: float = Field(5e-4, ge=0, le=1, description="Its L2 penalty")
    hidden: int = Field(100, ge=1, le=4096, description="Hidden units of the weighting network")
    normalise: bool = Field(
        True, description="Divide the adversary side by the batch's mean adversary weight"
    )
    fairness_from: float = Field(
        0.25, ge=0, le=1, description="Share of the run after which the class multipliers move"
    )
    slack: float = Field(0.07, ge=0, le=1, description="Excess error of a class that costs nothing")
    multiplier_rate: float = Field(0.05, ge=0, le=10, description="Step of the class multipliers")
    bound_rate: float = Field(0.2, ge=0, le=10, description="Step of the ReMargin multipliers")
    multiplier_limit: float = Field(
        0.5, gt=0, lt=1, description="Largest sum of the class multipliers; 1 would weigh a class 0"
    )

    def build(self, learner: Learner) -> "Caat":
        return Caat(self, learner)


class WeightingNetwork(nn.Module):
    """Omega: from six characteristics (B, 6) to (alpha, beta), (B, 2), whose sum is 1."""

    def __init__(self, hidden: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.hidden = nn.Linear(6, hidden)
        self.last = nn.Linear(hidden, 2)
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor([ON_ADVERSARY_SIDE, 0.0]))

    def forward(self, characteristics: Tensor) -> Tensor:
        # Batch statistics always, as in the released code; a batch of one has none.
        centred = characteristics - characteristics.mean(dim=0)
        scale = (centred.square().mean(dim=0) + 1e-5).sqrt()
        logits: Tensor = self.last(F.relu(self.hidden(centred / scale)))
        return (logits / self.temperature).softmax(dim=1)


class Caat(Method):
    """c = alpha w0, a = beta alpha w1, b = 1 - alpha, with class weights over their batch mean.

    alpha and 1 - alpha come from the weighting network, which learns every ``meta_every`` batches
    by the gradient of the meta loss after one virtual step of the model (Eq. 9 to 11).
    """

    objective = Objective(
        climbs="kl", start="normal", clean=True, anti_adversary=True, characteristics=True
    )

    def __init__(self, config: CaatConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        self.meta_objective = Objective(
            climbs="kl", start="normal", clean=True, num_steps=config.meta_num_steps
        )
        with initialising(learner.seed, "weighting network"):
            self.network = WeightingNetwork(config.hidden, config.temperature).to(learner.device)
        self.meta = MetaLearner(
            self.network,
            learner,
            lr=config.meta_lr,
            weight_decay=config.meta_weight_decay,
            batch_size=config.meta_batch_size,
        )
        self.multipliers = ClassMultipliers(
            learner.num_classes,
            slack=config.slack,
            rate=config.multiplier_rate,
            bound_rate=config.bound_rate,
            limit=config.multiplier_limit,
        )
        self._start_counting()

    def _start_counting(self) -> None:
        self._saturated: list[Tensor] = []
        self._gradient_norms: list[Tensor] = []

    # -- assignments

    @torch.no_grad()
    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        assert characteristics is not None
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
        weights: Tensor = self.network(characteristics.table())
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

    def _class_weights(self, batch: Batch) -> tuple[Tensor, Tensor]:
        w0 = self.multipliers.natural_weights().to(batch.y.device)
        w1 = self.multipliers.boundary_weights().to(batch.y.device)
        return w0[batch.y], w1[batch.y]

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
        moves = self.learner.has_reached(self.config.fairness_from, epoch)
        if validation is not None and moves:
            self.multipliers.update(validation)

    def learn(self, step: Step) -> bool:
        assert step.characteristics is not None
        if step.number % self.config.meta_every:
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
        self._saturated.append(((alpha - 0.5).abs() > 0.5 - SATURATED).float().mean())
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

    # -- what it says and keeps

    def diagnostics(self) -> dict[str, float]:
        if not self._saturated:
            return {}
        return {
            "saturation_share": torch.stack(self._saturated).mean().item(),
            "meta_gradient_norm": torch.stack(self._gradient_norms).mean().item(),
        }

    def state(self) -> dict[str, Tensor]:
        prices = {f"multipliers.{name}": v for name, v in self.multipliers.state().items()}
        return self.meta.state() | prices

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.meta.load_state(state)
        self.multipliers.load_state(under("multipliers.", state))
