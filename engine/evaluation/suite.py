"""Evaluations of a trained model: any attack, on all of a set or a stratified part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from engine.attacks.base import Conditions, EvaluationAttack, Parts, num_classes_of
from engine.config import Section
from engine.data.preparation import (
    shuffled_by_class,
    smallest_subset,
    stratified,
    stratified_counts,
)
from engine.empty import Empty
from engine.errors import UserError
from engine.evaluation.card import EvaluationCard, Subject, card_of
from engine.evaluation.evaluate import Outcomes, examine
from engine.models.modes import eval_mode
from engine.perturbation.norms import require_within
from engine.seeds import numpy_stream
from engine.types import IntArray

if TYPE_CHECKING:
    import torch
    from torch import nn


class SampleConfig(Section):
    """Which images an evaluation looks at, and what its random draws depend on."""

    subset: Annotated[int | None, Empty("all", "takes")] = Field(
        None, ge=1, description="Stratified part of the images"
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the part and of every attack")
    batch_size: int = Field(
        250, ge=1, le=10_000, description="Images attacked at a time; draws depend on it"
    )


@dataclass(frozen=True)
class Assessment:
    """What an evaluation found, and how.

    Attributes:
        outcomes: Of the n images that were looked at.
        index: (n,) their positions in the set, ascending.
        card: The protocol.
    """

    outcomes: Outcomes
    index: IntArray
    card: EvaluationCard


def stratified_subset(labels: IntArray, size: int, num_classes: int, *, seed: int) -> IntArray:
    """Draw positions, ascending, in proportion to the classes; the same for an equal seed and size.

    Raises:
        UserError: There are not so many images, or a class would have none.
    """
    require_subset(np.bincount(labels, minlength=num_classes), size)
    rng = numpy_stream(seed, "evaluation subset")
    return stratified(shuffled_by_class(labels, num_classes, rng), size)


def require_subset(counts: IntArray, size: int) -> None:
    """Refuse a part that cannot be drawn; ``counts`` are the images (C,) of each class.

    Raises:
        UserError: There are not so many images, or a class would have none.
    """
    total = int(counts.sum())
    if size > total:
        raise UserError(f"subset: {size} is not valid; the set has {total} images")
    available = counts[counts > 0]
    if stratified_counts(available, size).min() == 0:
        least = smallest_subset(available, size)
        raise UserError(
            f"subset: {size} is not valid, it leaves a class without an image; allowed: a whole "
            f"number, {least} to {total}"
        )


@dataclass(frozen=True)
class Suite:
    """Evaluations of one model on one set of images.

    Attributes:
        model: On the device; from images in [0, 1] to logits.
        subject: What the model and the images are; errors count against their labels.
        sample: Which of the images, and which draws.
        device: Where the work is done.
        check: Called often; may raise to stop.
        parts: What an earlier process may have found of the same.
    """

    model: nn.Module
    subject: Subject
    sample: SampleConfig
    device: torch.device
    check: Callable[[], None] = lambda: None
    parts: Parts = field(default_factory=Parts)

    @property
    def conditions(self) -> Conditions:
        return Conditions(self.sample.seed, self.sample.batch_size, self.check, self.parts)

    def index(self) -> IntArray:
        """Return the positions (n,) of the images that are looked at, ascending.

        Raises:
            UserError: The subset is larger than the set.
        """
        images, sample = self.subject.images, self.sample
        if sample.subset is None:
            return np.arange(len(images))
        return stratified_subset(
            images.labels, sample.subset, self.subject.num_classes, seed=sample.seed
        )

    def assess(self, attack: EvaluationAttack) -> Assessment:
        """Look at the model under an attack; its radius need not be that of the training.

        Raises:
            UserError: The subset, the radius or the attack does not fit the images or the model,
                or the attack's package is missing.
        """
        self._require_fit(attack)
        index = self.index()
        conditions = self.conditions
        card = card_of(attack, self.subject, conditions, n=len(index))
        chosen = self.subject.images.take(index)
        return Assessment(
            examine(self.model, chosen, attack, conditions=conditions, device=self.device),
            index,
            card,
        )

    def security_curve(
        self, attack: EvaluationAttack, epsilons: Sequence[float]
    ) -> list[Assessment]:
        """Look at the model under the same attack at several radii, each afresh.

        An adversary at one radius is one at any larger radius, but is not carried over: that the
        accuracy falls is what a curve is drawn to see.
        """
        return [self.assess(at_radius(attack, epsilon)) for epsilon in epsilons]

    def _require_fit(self, attack: EvaluationAttack) -> None:
        images, expected = self.subject.images, self.subject.num_classes
        try:
            require_within(attack.epsilon, attack.norm, images.images[0].size)
        except ValueError as error:
            raise UserError(f"epsilon: {error}") from None
        with eval_mode(self.model):
            found = num_classes_of(self.model, images.take(np.arange(1)).to(self.device))
        if found != expected:
            raise UserError(f"the model tells {found} classes apart, the images have {expected}")


def at_radius(attack: EvaluationAttack, epsilon: float) -> EvaluationAttack:
    """Return the attack in another ball; a step of its own keeps its share of the radius."""
    step = getattr(attack, "step_size", None)
    if step is None or not attack.epsilon:
        return with_fields(attack, epsilon=epsilon)
    share = epsilon / attack.epsilon
    return with_fields(attack, epsilon=epsilon, step_size=step * share or None)


def with_fields(attack: EvaluationAttack, **changes: object) -> EvaluationAttack:
    """Return the attack with other values of some fields, validated."""
    return type(attack).model_validate({**attack.model_dump(), **changes})
