"""OAT: adversarial training on the labels of an oracle, with its class frequencies as a prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.oracle import Oracle
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import PGD_AT, weighed
from engine.types import Assignment, Batch, under

if TYPE_CHECKING:
    from torch import Tensor, nn


@METHODS.register
class OatConfig(MethodConfig):
    """Omnipotent adversarial training in the wild (Li, Xu, Zhang, Yang; arXiv 2307.08596, 2023)."""

    name: Literal["oat"] = "oat"
    paper: ClassVar[str] = "Li et al., arXiv 2307.08596, 2023"
    assigns: ClassVar[str] = (
        "that of `pgd-at`, on the labels that an oracle gives and on logits f(x) + log n, with n "
        "its class counts"
    )
    sure: float = Field(
        0.8, gt=0, le=1, description="Probability from which the oracle's label replaces the given"
    )
    neighbours: int = Field(
        200, ge=1, le=100_000, description="Nearest images that vote on a label"
    )
    oracle_lr: float = Field(0.1, gt=0, le=10, description="Learning rate of the oracle")
    balance: bool = Field(
        True, description="Whether the logits get log n, in training and in its attack"
    )

    def build(self, learner: Learner) -> Oat:
        return Oat(self, learner)


class Oat(Method):
    """a = 1 on CE(f(x+) + log(n + 1), p), where p is the oracle's softmax for the clean image.

    The adversary climbs the same loss for the oracle's most likely class. n are the oracle's class
    counts on the training images after its epoch, which comes before each of the model's.
    """

    def __init__(self, config: OatConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        group = learner.optimizer.param_groups[0]
        self.oracle = Oracle(
            learner.model,
            learner.train,
            num_classes=learner.num_classes,
            seed=learner.seed,
            sure=config.sure,
            neighbours=config.neighbours,
            lr=config.oracle_lr,
            momentum=group["momentum"],
            weight_decay=group["weight_decay"],
            batch_size=learner.batch_size,
        )
        self.objective = PGD_AT
        self.shift = torch.zeros(learner.num_classes, device=learner.device)
        self._told: dict[str, float] = {}

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        believed = self.oracle.train_epoch(epoch)
        if self.config.balance:
            self.shift = (self.oracle.class_counts() + 1.0).log()
            self.objective = replace(PGD_AT, attack_shift=self.shift)
        changed = believed.labels != self.learner.train.labels
        self._told = {
            "relabelled_share": changed.float().mean().item(),
            "selected_share": len(believed.selected) / len(changed),
        }

    def relabelled(self, batch: Batch) -> Batch:
        soft = self.oracle.probabilities(batch.x)
        return replace(batch, y=soft.argmax(dim=1), soft=soft)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        one = torch.ones(len(batch), device=batch.x.device)
        return weighed("pgd-at", one, beta=1.0, epsilon=self.learner.epsilon)

    def view(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """Show the images to f + log(n + 1)."""

        def predict(x: Tensor) -> Tensor:
            logits: Tensor = model(x)
            return logits + self.shift

        return predict

    def diagnostics(self) -> dict[str, float]:
        return self._told

    def state(self) -> dict[str, Tensor]:
        return {f"oracle.{name}": value for name, value in self.oracle.state().items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.oracle.load_state(under("oracle.", state))
