"""CAAT: adversaries for some samples, anti-adversaries for others, chosen by meta-learning."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from engine.config import ShareOfRun, Younger
from engine.empty import Empty
from engine.meta.characteristics import NAMES
from engine.meta.class_means import Shrink
from engine.meta.inputs import Crowd, Inputs
from engine.meta.learner import MetaLearner
from engine.meta.multipliers import ClassMultipliers
from engine.meta.prices import ClassPrices, PriceKind
from engine.methods.base import METHODS, LearnedWeight, Learner, MethodConfig
from engine.methods.caat.combination import Combination
from engine.methods.caat.corrected import Bounds, Caat
from engine.methods.caat.meta_loss import LEAN, BatchNorm, MetaLoss, MetaObjective
from engine.methods.caat.pace import ONE_WAY, PACES, Pace
from engine.methods.caat.policy import learned_weight
from engine.methods.caat.pricing import ETA, READ_BY, class_prices, require_read
from engine.seeds import initialising

if TYPE_CHECKING:
    from torch import nn

    from engine.methods.caat.released import CaatAsReleased


@METHODS.register
class CaatConfig(MethodConfig):
    """Combining adversaries with anti-adversaries in training (Zhou, Yang, Wu; AAAI 2023).

    The corrected protocol: pixel-space bounds, live characteristics, detached features, class
    weights looked up by each batch's own labels, and a weighting network that can learn. The other
    one, in `released.py` beside this, is the authors' code with its defects.
    """

    name: Literal["caat"] = "caat"
    paper: ClassVar[str] = "Zhou et al., AAAI 2023"
    steers: ClassVar[bool] = True
    assigns: ClassVar[str] = (
        "c, a and b = 1 - alpha from a network that learns on the meta set; bound by class or "
        "sample"
    )
    protocol: Literal["corrected", "as-released"] = Field(
        "corrected",
        description="as-released: the authors' code with its defects, for audit; its radii are in "
        "normalised units and a quarter larger",
    )
    bounds: Bounds = Field(
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
    temperature: Annotated[float | None, Empty("1, or 0.001 as released, which freezes it")] = (
        Field(None, ge=1e-4, le=100, description="Softmax temperature")
    )
    meta_every: Annotated[int | None, Empty("4, or 50 as released")] = Field(
        None, ge=1, le=10_000, description="Batches from one meta step to the next"
    )
    meta_batch_size: int = Field(128, ge=2, le=8192, description="Meta images per meta step")
    meta_num_steps: Annotated[int | None, Empty("as in training")] = Field(
        None,
        ge=1,
        le=200,
        description="Steps of the attack on the meta images, each 2.5 / steps of the bound long",
    )
    meta_lr: Annotated[float | None, Empty("0.01, or 0.0001 as released")] = Field(
        None, gt=0, le=1, description="Learning rate of the weighting network"
    )
    meta_weight_decay: float = Field(5e-4, ge=0, le=1, description="Its L2 penalty")
    meta_objective: Annotated[MetaObjective, Younger()] = Field(
        "priced",
        description="Loss on the meta images: by class weights, or leaning on the classes whose "
        "loss is highest at the time",
    )
    meta_lean: Annotated[float | None, Empty(f"{LEAN:g}"), Younger()] = Field(
        None,
        ge=0,
        le=100,
        description="How far worst-class leans on the class of the highest loss, per nat; 0 is "
        "the average of the classes",
    )
    meta_batch_norm: Annotated[BatchNorm, Younger()] = Field(
        "eval",
        description="Batch norm of the meta loss: by its running statistics, or by the meta "
        "batch's own",
    )
    hidden: int = Field(100, ge=1, le=4096, description="Hidden units of the weighting network")
    crowd: Annotated[Crowd, Younger()] = Field(
        "batch",
        description="What the network's inputs are standardised by: the batch; or the samples of "
        "the same given label in the epoch before, so that it ranks within a class",
    )
    influence: Annotated[bool, Younger()] = Field(
        False,
        description="Show the network a seventh characteristic: how much the sample has helped on "
        "the meta images so far",
    )
    strength: Annotated[bool, Younger()] = Field(
        False,
        description="Let the network say how much a sample weighs as well, 0 to 2 times as much, "
        "apart from which side it is on",
    )
    normalise: bool = Field(
        True,
        description="Divide the adversary side by the batch's mean adversary weight; never as "
        "released",
    )
    prices: Annotated[PriceKind, Younger()] = Field(
        "multipliers",
        description="Class weights: FRL's multipliers, from validation errors; Hedge over classes "
        "and their average as in WAT, from validation costs; Group DRO's over classes, from "
        "validation losses of the adversary; or none",
    )
    eta: Annotated[float | None, Empty(f"{ETA:g}"), Younger()] = Field(
        None,
        ge=0,
        le=10,
        description="How fast weight moves to a class of high cost (hedge, group-dro), per nat",
    )
    normalise_prices: Annotated[bool, Younger()] = Field(
        True,
        description="Divide class weights by their batch mean; otherwise a batch of classes with "
        "high prices weighs more as a whole",
    )
    shrink: Shrink = False
    fairness_from: Annotated[float | None, ShareOfRun(), Empty("0.25, or 0 as released")] = Field(
        None, ge=0, le=1, description="Share of the run after which class weights and bounds move"
    )
    slack: float = Field(0.07, ge=0, le=1, description="Excess error of a class that costs nothing")
    multiplier_rate: float = Field(0.05, ge=0, le=10, description="Step of the class multipliers")
    bound_rate: float = Field(0.2, ge=0, le=10, description="Step of the ReMargin multipliers")
    multiplier_limit: float = Field(
        0.5, gt=0, lt=1, description="Largest sum of the class multipliers; 1 would weigh a class 0"
    )

    @field_validator(*ONE_WAY)
    @classmethod
    def _has_one_released_way(cls, value: object, info: ValidationInfo) -> object:
        own = cls.model_fields[str(info.field_name)].default
        if info.data.get("protocol") == "as-released" and value != own:
            raise ValueError(
                f"{value!r} is not valid with protocol as-released, whose code has one way only; "
                "allowed: leave it out"
            )
        return value

    @field_validator(*READ_BY)
    @classmethod
    def _is_read_by_the_prices(cls, value: object, info: ValidationInfo) -> object:
        name, others = str(info.field_name), info.data
        if "prices" in others and value != cls.model_fields[name].default:
            require_read(name, value, prices=others["prices"], bounds=others.get("bounds"))
        return value

    @field_validator("meta_lean")
    @classmethod
    def _is_read_by_the_meta_objective(
        cls, value: float | None, info: ValidationInfo
    ) -> float | None:
        if value is not None and info.data.get("meta_objective", "worst-class") != "worst-class":
            raise ValueError(
                f"{value:g} is not valid with meta_objective {info.data['meta_objective']}, under "
                "which it changes nothing; allowed: leave it out"
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

    @property
    def price_rate(self) -> float:
        return ETA if self.eta is None else self.eta

    @property
    def lean(self) -> float:
        return LEAN if self.meta_lean is None else self.meta_lean

    def in_force(self) -> dict[str, Any]:
        own = {"eta": self.price_rate, "meta_lean": self.lean}
        return {**super().in_force(), **asdict(self.pace), **own}

    def meta_steps(self, num_steps: int) -> int:
        """As released the last batch of every ``meta_every`` learns, else the first."""
        released = self.protocol == "as-released"
        return (
            num_steps // self.pace.meta_every if released else -(-num_steps // self.pace.meta_every)
        )

    def network(self) -> nn.Module:
        from engine.meta.networks import ReleasedNetwork, WeightingNetwork

        if self.protocol == "as-released":
            return ReleasedNetwork(self.hidden, self.pace.temperature)
        return WeightingNetwork(
            self.hidden,
            self.pace.temperature,
            num_inputs=len(NAMES) + self.influence,
            strength=self.strength,
        )

    def learned_weight(self) -> LearnedWeight | None:
        """Return the network; None where it reads more than the characteristics of a sample."""
        if self.influence or self.crowd == "class":
            return None
        return learned_weight(self.network())

    def build(self, learner: Learner) -> Caat | CaatAsReleased:
        from engine.methods.caat.released import CaatAsReleased

        meta, multipliers = self._meta_learner(learner), self._multipliers(learner)
        if self.protocol == "as-released":
            return CaatAsReleased(
                learner,
                meta,
                multipliers,
                beta=self.beta,
                meta_every=self.pace.meta_every,
                fairness_from=self.pace.fairness_from,
            )
        prices = self._prices(learner, multipliers)
        return Caat(
            learner,
            meta,
            multipliers,
            combination=Combination(prices, self.beta, self.normalise, self.normalise_prices),
            meta_loss=MetaLoss(
                learner,
                prices,
                self.beta,
                num_steps=self.meta_num_steps,
                kind=self.meta_objective,
                lean=self.lean,
                batch_norm=self.meta_batch_norm,
            ),
            bounds=self.bounds,
            samples=self.copies == "sampled",
            meta_every=self.pace.meta_every,
            fairness_from=self.pace.fairness_from,
            inputs=Inputs(
                self.crowd,
                influence=self.influence,
                class_counts=learner.class_counts,
                device=learner.device,
            ),
        )

    def _meta_learner(self, learner: Learner) -> MetaLearner:
        with initialising(learner.seed, "weighting network"):
            network = self.network()
        return MetaLearner(
            network.to(learner.device),
            learner.meta,
            seed=learner.seed,
            lr=self.pace.meta_lr,
            weight_decay=self.meta_weight_decay,
            batch_size=self.meta_batch_size,
        )

    def _multipliers(self, learner: Learner) -> ClassMultipliers:
        return ClassMultipliers(
            learner.num_classes,
            slack=self.slack,
            rate=self.multiplier_rate,
            bound_rate=self.bound_rate,
            limit=self.multiplier_limit,
            device=learner.device,
            counts=learner.validation_counts() if self.shrink else None,
        )

    def _prices(self, learner: Learner, multipliers: ClassMultipliers) -> ClassPrices:
        if self.prices == "multipliers":
            return multipliers
        return class_prices(
            self.prices, learner, eta=self.price_rate, beta=self.beta, shrink=self.shrink
        )
