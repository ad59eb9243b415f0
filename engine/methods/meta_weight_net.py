"""Meta-Weight-Net: a network gives each clean sample its weight from the sample's own loss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.config import Younger
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import F, torch
from engine.meta.characteristics import Characteristics
from engine.meta.learner import MetaLearner
from engine.meta.virtual_step import LossOfParameters, Parameters, prediction_with
from engine.methods.base import METHODS, LearnedWeight, Learner, Method, MethodConfig, Step
from engine.objective import LOSSES, LossName, Objective, per_sample_losses, weighed
from engine.seeds import initialising
from engine.types import Assignment, Batch, Copies

if TYPE_CHECKING:
    from torch import Tensor, nn

NATURAL = Objective(climbs="ce", start="uniform", clean=True, adversary=False)
"""CE(f(x), y) alone, for which no attack is run."""


@METHODS.register
class MetaWeightNetConfig(MethodConfig):
    """Meta-Weight-Net: an explicit mapping for sample weighting (Shu et al., NeurIPS 2019).

    Clean training under label noise or imbalance, as published, which makes nothing robust; or the
    same weights on a robust loss, in training and on the meta images (our combination).
    """

    name: Literal["meta-weight-net"] = "meta-weight-net"
    paper: ClassVar[str] = "Shu et al., NeurIPS 2019"
    assigns: ClassVar[str] = (
        "c = V(CE(f(x), y)) from a network that learns on the meta set, bound 0; with `loss` V "
        "times the assignment of `pgd-at` or `trades`"
    )
    loss: Annotated[Literal["natural", LossName], Younger()] = Field(
        "natural",
        description="What is weighed: the clean loss as published, or the loss of PGD-AT or TRADES",
    )
    beta: Annotated[float, Younger()] = Field(
        6.0, ge=0, le=100, description="Weight of the KL term of the loss trades"
    )
    meta_every: int = Field(
        1, ge=1, le=10_000, description="Batches from one meta step to the next"
    )
    meta_batch_size: int = Field(100, ge=1, le=8192, description="Meta images per meta step")
    meta_lr: float = Field(1e-3, gt=0, le=1, description="Learning rate of the weighting network")
    meta_weight_decay: float = Field(1e-4, ge=0, le=1, description="Its L2 penalty")
    hidden: int = Field(100, ge=1, le=4096, description="Hidden units of the weighting network")
    meta_batch_norm: Annotated[Literal["eval", "train"], Younger()] = Field(
        "eval",
        description="Batch norm of the meta loss: by its running statistics, or by the meta "
        "batch's own as in the released code, which tells wrong labels apart earlier",
    )

    def build(self, learner: Learner) -> MetaWeightNet:
        return MetaWeightNet(self, learner)

    def meta_steps(self, num_steps: int) -> int:
        return -(-num_steps // self.meta_every)

    def network(self) -> nn.Module:
        from engine.meta.networks import WeightNetwork

        return WeightNetwork(self.hidden)

    def learned_weight(self) -> LearnedWeight:
        network = self.network()

        def weight(traits: Characteristics, crowd: Characteristics) -> Tensor:
            found: Tensor = network(traits.loss)
            return found

        return LearnedWeight("clean_weight", network, weight)


class MetaWeightNet(Method):
    """V(CE(f(x), y)) l of each sample, with the loss that V reads detached.

    l is CE(f(x), y), for which no attack is run, or a robust loss. The network learns by the
    gradient of the mean l on clean, balanced meta images after one virtual step of the model.
    """

    def __init__(self, config: MetaWeightNetConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        self.objective = NATURAL if config.loss == "natural" else LOSSES[config.loss]
        self.objective = replace(self.objective, characteristics=True)
        with initialising(learner.seed, "weighting network"):
            self.network = config.network().to(learner.device)
        self.meta = MetaLearner(
            self.network,
            learner.meta,
            seed=learner.seed,
            lr=config.meta_lr,
            weight_decay=config.meta_weight_decay,
            batch_size=config.meta_batch_size,
        )

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        assert characteristics is not None
        with torch.no_grad():
            weight = self.network(characteristics.loss)
        return self._weighed(weight)

    def _weighed(self, weight: Tensor) -> Assignment:
        if self.config.loss == "natural":
            zero = torch.zeros_like(weight)
            return Assignment(weight, adversary=zero, anti_adversary=zero, bound=zero)
        config, epsilon = self.config, self.learner.epsilon
        return weighed(self.config.loss, weight, beta=config.beta, epsilon=epsilon)

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        self.meta.start_epoch(epoch)

    def learn(self, step: Step) -> bool:
        assert step.characteristics is not None
        if step.number % self.config.meta_every:
            return False
        weights = self._weighed(self.network(step.characteristics.loss)).weights
        gradient = self.learner.meta_gradient(
            step, weights, objective=self.objective, meta_loss=self._meta_loss(self.meta.batch())
        )
        self.meta.descend(weights, gradient)
        return True

    def _meta_loss(self, batch: Batch) -> LossOfParameters:
        model, objective = self.learner.model, self.objective
        unit = self._weighed(torch.ones(len(batch), device=batch.x.device))
        copies = Copies(None, None)
        if self.config.loss != "natural":
            log_p = self.learner.log_probabilities(batch.x)
            copies = self.learner.attack(batch, log_p, unit.bound, objective=objective)

        def loss(parameters: Parameters) -> Tensor:
            train = self.config.meta_batch_norm == "train"
            predict = prediction_with(model, parameters, train=train)
            if self.config.loss == "natural":
                return F.cross_entropy(predict(batch.x), batch.y)
            losses = per_sample_losses(predict, batch, copies, objective=objective)
            return (unit.weights * losses).sum(dim=1).mean()

        return loss

    def state(self) -> dict[str, Tensor]:
        return self.meta.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.meta.load_state(state)
