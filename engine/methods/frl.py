"""Fair robust learning: classes whose errors are too high get more weight, or wider balls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.config import ShareOfRun
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.class_means import Shrink
from engine.meta.multipliers import ClassMultipliers
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import TRADES
from engine.types import Assignment, Batch

if TYPE_CHECKING:
    from torch import Tensor

NARROWEST = 0.98
"""A class's ball is never narrower than this share of epsilon, as released."""


class FrlConfig(MethodConfig):
    """What the three variants of fair robust learning have in common.

    The released code starts from a robust checkpoint; here ``fairness_from`` trains one first.
    """

    beta: float = Field(1.5, ge=0, le=100, description="Weight of the boundary term (KL)")
    slack: float = Field(
        0.1, ge=0, le=1, description="Excess error of a class that costs nothing, tau"
    )
    multiplier_rate: float = Field(
        0.05,
        ge=0,
        le=10,
        description="Step of the natural multipliers; boundary ones take twice it",
    )
    multiplier_limit: float = Field(
        0.5, gt=0, lt=1, description="Largest sum of the class multipliers; 1 would weigh a class 0"
    )
    halve_every: int = Field(
        40, ge=1, le=1000, description="Epochs after which that step is halved, again and again"
    )
    fairness_from: Annotated[float, ShareOfRun()] = Field(
        0.25, ge=0, le=1, description="Share of the run after which the class multipliers move"
    )
    shrink: Shrink = False


@METHODS.register
class FrlReweightConfig(FrlConfig):
    """To be robust or to be fair: FRL, ReWeight (Xu et al., ICML 2021)."""

    name: Literal["frl-reweight"] = "frl-reweight"
    paper: ClassVar[str] = "Xu et al., ICML 2021"
    steers: ClassVar[bool] = True
    assigns: ClassVar[str] = (
        "c = w0_y / mean w0, a = beta w1_y / mean w1, from validation natural and boundary errors"
    )

    def build(self, learner: Learner) -> FrlReweight:
        return FrlReweight(self, learner)


@METHODS.register
class FrlReweightRemarginConfig(FrlConfig):
    """To be robust or to be fair: FRL, ReWeight and ReMargin (Xu et al., ICML 2021)."""

    name: Literal["frl-reweight-remargin"] = "frl-reweight-remargin"
    paper: ClassVar[str] = "Xu et al., ICML 2021"
    steers: ClassVar[bool] = True
    assigns: ClassVar[str] = "as `frl-reweight`; bound epsilon w2_y"
    slack: float = Field(
        0.07, ge=0, le=1, description="Excess error of a class that costs nothing, tau"
    )
    bound_rate: float = Field(0.2, ge=0, le=10, description="Step of the ReMargin multipliers")
    bound_limit: float = Field(3.0, ge=1, le=10, description="Widest ball of a class, in epsilons")

    def build(self, learner: Learner) -> FrlReweightRemargin:
        return FrlReweightRemargin(self, learner)


@METHODS.register
class FrlRemarginConfig(FrlConfig):
    """To be robust or to be fair: FRL, ReMargin (Xu et al., ICML 2021), as first released."""

    name: Literal["frl-remargin"] = "frl-remargin"
    paper: ClassVar[str] = "Xu et al., ICML 2021, as first released"
    steers: ClassVar[bool] = True
    assigns: ClassVar[str] = (
        "c = w0_y / m, a = beta / (C m) with m = mean(w0 + 1/C); bound epsilon w2_y"
    )
    beta: float = Field(1.0, ge=0, le=100, description="Weight of the boundary term (KL)")
    multiplier_rate: float = Field(
        0.05, ge=0, le=10, description="Step of the natural multipliers; boundary ones stay 0"
    )
    multiplier_limit: float = Field(
        0.3, gt=0, lt=1, description="Largest sum of the class multipliers; 1 would weigh a class 0"
    )
    bound_rate: float = Field(0.1, ge=0, le=10, description="Step of the ReMargin multipliers")
    bound_limit: float = Field(2.5, ge=1, le=10, description="Widest ball of a class, in epsilons")

    def build(self, learner: Learner) -> FrlRemargin:
        return FrlRemargin(self, learner)


class FrlReweight(Method):
    """c = w0 and a = beta w1, over their batch means: sum w0 CE / sum w0 + beta sum w1 KL / sum w1.

    w0 and w1 come from multipliers that rise while a class's natural or boundary error on
    validation data is above the average by more than the slack.
    """

    objective = TRADES

    def __init__(self, config: FrlConfig, learner: Learner, *, bound_rate: float = 0.0) -> None:
        self.beta, self.learner, self.config = config.beta, learner, config
        self.multipliers = ClassMultipliers(
            learner.num_classes,
            slack=config.slack,
            rate=config.multiplier_rate,
            bound_rate=bound_rate,
            limit=config.multiplier_limit,
            device=learner.device,
            counts=learner.validation_counts() if config.shrink else None,
        )

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        w0 = self.multipliers.natural_weights()[batch.y]
        w1 = self.multipliers.boundary_weights()[batch.y]
        clean, adversary = self._normalised(w0, w1)
        bound, step = self._ball(batch.y)
        return Assignment(clean, self.beta * adversary, torch.zeros_like(clean), bound, step)

    def _normalised(self, w0: Tensor, w1: Tensor) -> tuple[Tensor, Tensor]:
        return w0 / w0.mean(), w1 / w1.mean()

    def _ball(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return bound and step of samples with labels y, (B,) each."""
        return torch.full(y.shape, self.learner.epsilon, device=y.device), None

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        if validation is None or not self.learner.has_reached(self.config.fairness_from, epoch):
            return
        halvings = epoch // self.config.halve_every
        self.multipliers.rate = self.config.multiplier_rate * 0.5**halvings
        self.multipliers.update(validation)

    def state(self) -> dict[str, Tensor]:
        return self.multipliers.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.multipliers.load_state(state)


class FrlReweightRemargin(FrlReweight):
    """ReWeight, in balls of radius epsilon w2, with one step: a quarter of the batch's widest."""

    def __init__(
        self, config: FrlReweightRemarginConfig | FrlRemarginConfig, learner: Learner
    ) -> None:
        super().__init__(config, learner, bound_rate=config.bound_rate)
        self.bound_limit = config.bound_limit

    def _ball(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        w2 = self.multipliers.bound_factors(NARROWEST, self.bound_limit)[y]
        # The threat model's step is a quarter of epsilon unless a scenario says otherwise.
        return self.learner.epsilon * w2, (self.learner.step_size * w2.max()).expand(y.shape)


class FrlRemargin(FrlReweightRemargin):
    """(w0 CE + beta KL / C) / mean(w0 + 1/C), in balls of radius epsilon w2; w1 does not move."""

    def _normalised(self, w0: Tensor, w1: Tensor) -> tuple[Tensor, Tensor]:
        mean = (w0 + w1).mean()
        return w0 / mean, w1 / mean

    def _ball(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        return super()._ball(y)[0], None

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        super().start_epoch(epoch, validation)
        self.multipliers.boundary = torch.zeros_like(self.multipliers.boundary)
