"""What a training method is: a policy that gives each sample of a batch its assignment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from engine.config import Section
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.meta.virtual_step import (
    LossOfParameters,
    Parameters,
    prediction_with,
    weight_gradient,
)
from engine.models.modes import eval_mode
from engine.objective import Objective, per_sample_losses
from engine.registry import Registry
from engine.types import Assignment, Batch, Copies, DeviceImages

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.perturbation.training import TrainingAttack


@dataclass
class Learner:
    """What a policy may know and use of the run that it steers."""

    model: nn.Module
    optimizer: torch.optim.SGD
    attack: TrainingAttack
    device: torch.device
    seed: int
    epochs: int
    epsilon: float
    step_size: float
    """Step of the training attack in a ball of radius epsilon, in pixels."""
    num_classes: int
    class_counts: Tensor
    """(C,) training samples of each given label."""
    meta: Batch
    """The whole meta set: clean labels, balanced over the classes."""
    validation: DeviceImages
    """The whole validation set, likewise."""
    train: DeviceImages
    """The training images with their given labels."""
    batch_size: int
    """Training images a step, at most."""

    def has_reached(self, share: float, epoch: int) -> bool:
        """Tell whether an epoch, counted from 1, begins after this share of the run."""
        return (epoch - 1) / self.epochs >= share

    def log_probabilities(self, x: Tensor) -> Tensor:
        """Return the clean log p(x), (B, C), in eval mode; finite where p itself underflows."""
        with torch.no_grad(), eval_mode(self.model):
            logits: Tensor = self.model(x)
        return logits.log_softmax(dim=1)

    def attacked(self, batch: Batch, objective: Objective) -> tuple[Tensor, Tensor]:
        """Return log p(x) and log p(x+), (B, C) each, in eval mode, in balls of radius epsilon."""
        log_p = self.log_probabilities(batch.x)
        bound = torch.full((len(batch),), self.epsilon, device=batch.x.device)
        copies = self.attack(batch, log_p, bound, objective=objective)
        assert copies.adversary is not None
        return log_p, self.log_probabilities(copies.adversary)

    def meta_gradient(
        self, step: Step, weights: Tensor, *, objective: Objective, meta_loss: LossOfParameters
    ) -> Tensor:
        """Return d meta_loss / d weights, (B, 3), after the next step of the model at them.

        Args:
            step: The batch, with its copies and losses in train mode.
            weights: (B, 3) c, a and b.
            objective: Of the step's losses.
            meta_loss: As a function of the parameters.
        """

        def losses_at(parameters: Parameters) -> Tensor:
            predict = prediction_with(self.model, parameters, train=True)
            return per_sample_losses(predict, step.batch, step.copies, objective=objective)

        return weight_gradient(
            self.model,
            self.optimizer,
            losses=step.losses,
            weights=weights,
            losses_at=losses_at,
            meta_loss=meta_loss,
        )

    def validation_counts(self) -> Tensor:
        """Return how many validation images each class has, (C,)."""
        return torch.bincount(self.validation.labels, minlength=self.num_classes)


@dataclass(frozen=True)
class Step:
    """One batch on its way through a training step, before the model moves.

    Attributes:
        batch: The samples.
        characteristics: What the policy read, if it reads any.
        copies: The perturbed images.
        losses: (B, 3) CE(f(x), y), l_adv(x, x+), CE(f(x-), y), with the graph to the parameters.
        epoch: Counted from 1.
        number: Steps taken in this epoch before this one.
        adversary_logits: (B, C) of x+, in train mode and without a graph; None without one.
    """

    batch: Batch
    characteristics: Characteristics | None
    copies: Copies
    losses: Tensor
    epoch: int
    number: int
    adversary_logits: Tensor | None = None


class Method(ABC):
    """A policy. Subclasses give assignments, and may learn between batches and epochs.

    The loop asks `assign` before the attack, shows `learn` what came of it, and asks `assign` again
    if `learn` says so. That is all a policy needs, a reinforcement-learning one too: the state is
    what `assign` reads, the action its `Assignment` (direction and bound), the reward what `learn`
    reads off the `Step`.

    Attributes:
        objective: The terms of its loss.
        average_decay: Decay of an average of the weights over epochs, which is evaluated and
            exported in the model's place; None keeps no average.
    """

    objective: Objective
    average_decay: float | None = None

    @abstractmethod
    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        """Return the weights and bound of every sample of the batch, without gradients."""

    @property
    def told_by(self) -> str:
        """The weight that says how much the policy trusts a sample."""
        return "anti_adversary_weight" if self.objective.anti_adversary else "clean_weight"

    def relabelled(self, batch: Batch) -> Batch:
        """Return a training batch with the labels that the method trains it on."""
        return batch

    def view(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """Return how the model, in train mode at first, is shown the images of a training step."""
        return model

    def learn(self, step: Step) -> bool:
        """Learn from the step that is about to be taken; True asks for a new assignment."""
        return False

    def start_epoch(  # noqa: B027 - optional: most policies learn nothing between epochs
        self, epoch: int, validation: ClassErrors | None
    ) -> None:
        """Take in the validation errors of the epoch before (None in the first)."""

    def joins_average(self, epoch: int, validation: ClassErrors) -> bool:
        """Tell whether the model as this epoch left it joins the average of the weights.

        ``validation`` are that model's own errors.
        """
        return True

    def diagnostics(self) -> dict[str, float]:
        """Return what the policy says of itself for this epoch, by name."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Return everything that the policy has learned, by name."""
        return {}

    def load_state(  # noqa: B027 - optional: most policies learn nothing
        self, state: dict[str, Tensor]
    ) -> None:
        """Take back what `state` returned."""


@dataclass(frozen=True)
class LearnedWeight:
    """What a method's weighting network gives a sample, apart from everything else in the method.

    Attributes:
        quantity: The weight that is the network's own output.
        network: With the parameters of its start; a checkpoint has the learned ones.
        weight: From characteristics (B,) each, and those of the crowd (N,) that they stand in, to
            that weight (B,).
    """

    quantity: str
    network: nn.Module
    weight: Callable[[Characteristics, Characteristics], Tensor]


class MethodConfig(Section):
    """The knobs of one method; each subclass stands in its own file of `engine.methods`.

    Attributes:
        paper: Authors, venue and year.
        assigns: Its assignment in a line, in the letters of docs/methods.md, whose table of methods
            is made of both.
        steers: Whether the model that it trains, or the average that is evaluated in its place,
            depends on validation data.
    """

    paper: ClassVar[str]
    assigns: ClassVar[str]
    steers: ClassVar[bool] = False
    name: str = Field(description="Training method")

    @property
    def label(self) -> str:
        """What the method is called wherever its numbers are shown."""
        return self.name

    @abstractmethod
    def build(self, learner: Learner) -> Method:
        """Return the policy, for one run."""

    def in_force(self) -> dict[str, Any]:
        """Return the fields with what stands for the empty ones."""
        return dict(self)

    def meta_steps(self, num_steps: int) -> int:
        """Return how often it learns from meta images in an epoch of so many steps."""
        return 0

    def learned_weight(self) -> LearnedWeight | None:
        """Return its weighting network, whose state stands under ``network.``; most have none."""
        return None


METHODS: Registry[MethodConfig] = Registry(
    "method", "engine.methods", base=MethodConfig, default="caat"
)
