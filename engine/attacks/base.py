"""Attacks of an evaluation: the table of them, and what each one answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import Field

from engine.config import Pixels, Section
from engine.lazy import torch
from engine.perturbation.norms import NormName
from engine.registry import Registry
from engine.types import DeviceImages

if TYPE_CHECKING:
    from torch import Tensor, nn


class Parts:
    """What a look at images has found, batch by batch. This one keeps nothing.

    One that does lets a look that was broken off go on: the batches of a look come in an order
    that model, images, attack and conditions decide, and what is found of one depends on nothing
    that an earlier batch has left behind, its draws included.
    """

    def begin(self) -> None:
        """Be told that a look at a set begins."""

    def part(self, x: Tensor, y: Tensor, find: Callable[[], Tensor], *, share: float) -> Tensor:
        """Return the class (B,) that is seen in what an attack makes of the next batch.

        Args:
            x: (B, channels, height, width) in [0, 1].
            y: (B,) labels.
            find: Attacks them.
            share: Of the whole look, 0 to 1, that is done with this batch.
        """
        return find()


@dataclass(frozen=True)
class Conditions:
    """What an attack's outcome depends on besides the model, the images and the attack.

    Attributes:
        seed: Of every draw.
        batch_size: Images at a time.
        check: Called often; may raise to stop.
        parts: What an earlier process may have found of the same.
    """

    seed: int
    batch_size: int
    check: Callable[[], None] = lambda: None
    parts: Parts = field(default_factory=Parts)


@dataclass(frozen=True)
class Procedure:
    """What an attack does, in the words of an evaluation card.

    Attributes:
        label: Its short name: ``PGD-20``.
        loss: What it climbs.
        num_steps: Steps, or queries, of each walk.
        step_size: In the attack's norm; None where the attack adapts it.
        restarts: Walks from other starts.
        targets: Classes that a targeted attack aims at, in turn; None where it has no target.
        start: The first guess.
        packages: Distributions other than torch that do the work.
    """

    label: str
    loss: str
    num_steps: int
    step_size: float | None
    restarts: int
    start: str
    targets: int | None = None
    packages: tuple[str, ...] = ()


class EvaluationAttack(Section):
    """An attack and its own knobs; each subclass stands in its own file of `engine.attacks`."""

    name: str = Field(description="Attack")
    norm: NormName = Field("linf", description="Norm of the perturbation")
    epsilon: Pixels = Field(
        8 / 255, ge=0, description="Radius of the attack, in pixels of [0, 1]; write 8/255"
    )

    @abstractmethod
    def attacked(
        self, model: nn.Module, images: DeviceImages, clean: Tensor, *, conditions: Conditions
    ) -> Tensor:
        """Return the class (N,) that a model sees in what the attack makes of each image.

        It differs from the label where the attack found an adversary. An image that is wrong
        without an attack need not be attacked: what is returned for it is not read.

        Args:
            model: In eval mode; from images in [0, 1] to logits (B, C).
            images: N images with the labels to be missed.
            clean: (N,) class that the model sees in each image as it is.
            conditions: Seed, batch size and the way to stop.

        Raises:
            UserError: The attack does not exist for so few classes, or its package is missing.
        """

    @abstractmethod
    def procedure(self, num_classes: int) -> Procedure:
        """Return what the attack does to a model of so many classes.

        Raises:
            UserError: As `attacked` does.
        """


def num_classes_of(model: nn.Module, images: DeviceImages) -> int:
    """Return how many classes a model tells apart, by asking it of the first image."""
    first = torch.zeros(1, dtype=torch.int64, device=images.labels.device)
    with torch.no_grad():
        logits: Tensor = model(images.batch(first).x)
    return logits.shape[1]


ATTACKS: Registry[EvaluationAttack] = Registry(
    "attack", "engine.attacks", base=EvaluationAttack, default="pgd", alias="attack"
)
