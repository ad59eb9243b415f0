"""Per-class distributions of what a method gave each sample."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.meta.characteristics import NAMES
from engine.types import IntArray, rows_by_class

NUM_QUANTILES = 41
ASSIGNMENT = ("clean_weight", "adversary_weight", "anti_adversary_weight", "bound")
STEPS_WITHSTOOD = "steps_withstood"
"""Steps of its adversary before which the model still saw a sample's label, where counted."""
ANTI_ADVERSARY_FROM = 0.5
"""A sample whose anti-adversary weight is above this counts as an anti-adversary."""


@dataclass(frozen=True)
class ClassDistribution:
    """One quantity over one class's samples.

    Attributes:
        quantity: Name of the column.
        label_group: ``all``, ``clean`` (given label = true label) or ``flipped``.
        class_index: Class of the given label.
        n: Samples in the group.
        mean: Their mean.
        quantiles: 41 equally spaced quantiles, minimum to maximum.
    """

    quantity: str
    label_group: str
    class_index: int
    n: int
    mean: float
    quantiles: list[float]


def class_distributions(
    columns: dict[str, npt.NDArray[Any]],
    given_labels: IntArray,
    true_labels: IntArray,
    *,
    num_classes: int,
) -> list[ClassDistribution]:
    """Summarise assignment and characteristics by class of the given label.

    Where clean and flipped labels both occur, also each of them apart.
    """
    is_clean = given_labels == true_labels
    groups = {"all": np.arange(len(given_labels))}
    if not is_clean.all():
        groups |= {"clean": np.flatnonzero(is_clean), "flipped": np.flatnonzero(~is_clean)}
    names = [name for name in (*ASSIGNMENT, *NAMES, STEPS_WITHSTOOD) if name in columns]
    return [
        distribution
        for group, members in groups.items()
        for label, rows in enumerate(rows_by_class(given_labels[members], num_classes))
        if len(rows)
        for distribution in _distributions(columns, names, group, label=label, rows=members[rows])
    ]


def _distributions(
    columns: dict[str, npt.NDArray[Any]],
    names: list[str],
    group: str,
    *,
    label: int,
    rows: IntArray,
) -> list[ClassDistribution]:
    values = np.stack([columns[name][rows] for name in names]).astype(np.float64)
    edges = np.quantile(values, np.linspace(0, 1, NUM_QUANTILES), axis=1)
    return [
        ClassDistribution(
            quantity=name,
            label_group=group,
            class_index=label,
            n=len(rows),
            mean=float(mean),
            quantiles=[float(f"{edge:.6g}") for edge in of_name],
        )
        for name, mean, of_name in zip(names, values.mean(axis=1), edges.T, strict=True)
    ]


def class_means(
    columns: dict[str, npt.NDArray[Any]], labels: IntArray, num_classes: int
) -> dict[str, list[float]]:
    """Return the mean of each weight and bound per given label, and the share of anti-adversaries.

    A class without samples has NaN.
    """
    counts = np.bincount(labels, minlength=num_classes)
    is_anti = columns["anti_adversary_weight"] > ANTI_ADVERSARY_FROM
    wanted = {name: columns[name] for name in ASSIGNMENT} | {"anti_adversary_share": is_anti}
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            name: (np.bincount(labels, weights=values, minlength=num_classes) / counts).tolist()
            for name, values in wanted.items()
        }
