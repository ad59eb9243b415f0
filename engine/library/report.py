"""A model's errors, class by class, with their intervals and the protocol behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.evaluation.card import EvaluationCard
from engine.evaluation.error_names import BOUNDARY_ERROR, NATURAL_ERROR, ROBUST_ERROR
from engine.evaluation.statistics import (
    Counts,
    Floats,
    class_counts,
    errors_by_class,
    spread,
    wilson,
)
from engine.types import Columns


@dataclass(frozen=True, eq=False)
class ClassError:
    """One error, as shares of 1.

    Attributes:
        per_class: (C,) of each class; NaN where no image of it was looked at.
        low, high: (C,) Wilson's 95 % interval of each.
        average: Over images.
        worst: Of the worst class.
        worst_class: Its name.
    """

    per_class: Floats
    low: Floats
    high: Floats
    average: float
    worst: float
    worst_class: str


@dataclass(frozen=True, eq=False)
class Report:
    """What a model does on test images, without an attack and under one.

    Attributes:
        class_names: The C classes.
        count: (C,) images of each.
        natural_error: Wrong without the attack.
        boundary_error: Right without it and wrong under it.
        robust_error: Wrong with or without it: the sum of the two, image by image.
        outcomes: ``sample``, ``label``, ``clean`` and ``attacked`` of each image, (N,) each.
        card: The protocol behind the numbers; two reports with different cards are no ranking.
    """

    class_names: tuple[str, ...]
    count: Counts
    natural_error: ClassError
    boundary_error: ClassError
    robust_error: ClassError
    outcomes: Columns
    card: EvaluationCard

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per class, for a table or a chart: ``pandas.DataFrame(report.rows())``."""
        errors = {name: getattr(self, name) for name in _ERRORS}
        return [
            {"class": name, "n": int(n)}
            | {f"{error}{end}": float(getattr(found, field)[index])
               for error, found in errors.items() for end, field in _COLUMNS.items()}
            for index, (name, n) in enumerate(zip(self.class_names, self.count, strict=True))
        ]  # fmt: skip


_ERRORS = (NATURAL_ERROR, BOUNDARY_ERROR, ROBUST_ERROR)
_COLUMNS = {"": "per_class", "_low": "low", "_high": "high"}


def report_of(outcomes: Columns, card: EvaluationCard, class_names: Sequence[str]) -> Report:
    """Count the errors of one look at test images, per class of their labels."""
    label, clean, attacked = (outcomes[name] for name in ("label", "clean", "attacked"))
    count = class_counts(label, len(class_names))
    wrong = errors_by_class(label, clean, attacked, num_classes=len(class_names))
    errors = {name: _error(wrong[name], count, class_names) for name in _ERRORS}
    return Report(tuple(class_names), count, **errors, outcomes=outcomes, card=card)


def _error(wrong: Counts, count: Counts, class_names: Sequence[str]) -> ClassError:
    found = spread(wrong, count)
    per_class = np.where(count > 0, wrong / np.maximum(count, 1), np.nan)
    low, high = wilson(per_class, count)
    return ClassError(
        per_class, low, high, found.average, found.worst, class_names[found.worst_class]
    )
