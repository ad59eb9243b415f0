"""Published indices of how unequally robustness is spread over classes, each with its interval.

All are of the classes' accuracies under the attack, as their sources have them, and of a class
that has images. GF-Score (Shah et al. 2026, arXiv 2604.12757) takes a certified score of images
from a generator in the place of these accuracies; its indices are applied here to what an attack
left right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.evaluation.statistics import Counts, Floats, nsd, worst_mean
from engine.seeds import numpy_stream

DRAWS = 2_000
"""Of the bootstrap."""
_AT_ONCE = 500
"""Draws in memory at a time: with 1,000 classes 4 MB."""


@dataclass(frozen=True)
class Index:
    """An index of inequality.

    Attributes:
        name: What it is called.
        of: From accuracies (..., C), NaN where a class has no images, to the index (...).
        says: Its definition in words.
        source: Who defined it.
    """

    name: str
    of: Callable[[Floats], Floats]
    says: str
    source: str


@dataclass(frozen=True)
class Measured:
    """An index of one model, with the middle 95 % of its bootstrap draws."""

    index: Index
    value: float
    low: float
    high: float


def gini(accuracies: Floats) -> Floats:
    """Return the Gini coefficient of class accuracies (..., C); 0 where all are 0.

    sum over pairs |a_i - a_j| / (2 C^2 mean), computed from the sorted accuracies.
    """
    ordered = np.sort(accuracies, axis=-1)  # NaN last
    count = (~np.isnan(accuracies)).sum(axis=-1, keepdims=True)
    ranks = 2 * np.arange(1, accuracies.shape[-1] + 1) - count - 1
    total = np.nansum(accuracies, axis=-1)
    spread = np.nansum(ranks * ordered, axis=-1)
    safe = np.where(total > 0, total, 1)
    found: Floats = np.where(total > 0, spread / (count[..., 0] * safe), 0.0)
    return found


def _gap(accuracies: Floats) -> Floats:
    found: Floats = np.nanmax(accuracies, axis=-1) - np.nanmin(accuracies, axis=-1)
    return found


def _worst(accuracies: Floats) -> Floats:
    found: Floats = np.nanmin(accuracies, axis=-1)
    return found


def _worst_tenth(accuracies: Floats) -> Floats:
    found: Floats = 1 - worst_mean(1 - accuracies, tenths=1)
    return found


INDICES = (
    Index(
        "Worst class (WCR)",
        _worst,
        "Accuracy under attack of the worst class",
        "Xu et al. 2021; GF-Score, arXiv 2604.12757",
    ),
    Index(
        "Worst 10 % of classes",
        _worst_tenth,
        "Mean accuracy of the worst tenth of the classes, rounded up",
        "ABSLD, arXiv 2312.05508",
    ),
    Index(
        "NSD",
        nsd,
        "Standard deviation of the class accuracies over their mean",
        "ABSLD, arXiv 2312.05508",
    ),
    Index(
        "Gini (NRGC)",
        gini,
        "Mean difference of two classes over twice the mean",
        "GF-Score, arXiv 2604.12757",
    ),
    Index(
        "Disparity (RDI)",
        _gap,
        "Best class less worst class",
        "GF-Score, arXiv 2604.12757",
    ),
)


def measured(wrong: Counts, count: Counts, *, seed: int = 0) -> list[Measured]:
    """Return every index of a model from its errors under attack, (C,) wrong of (C,) images.

    The images of each class are drawn again with replacement: how many of n are then right is
    binomial, so that numbers are drawn in place of images. The seed makes draws repeat.

    Raises:
        ValueError: No class has an image.
    """
    there = np.flatnonzero(count)
    if not len(there):
        raise ValueError("no class has an image")
    n = count[there]
    accuracies = 1 - wrong[there] / n
    rng = numpy_stream(seed, "disparity")
    parts = [
        rng.binomial(n, accuracies, size=(min(_AT_ONCE, DRAWS - start), len(n))) / n
        for start in range(0, DRAWS, _AT_ONCE)
    ]
    found = []
    for index in INDICES:
        draws = np.concatenate([index.of(part) for part in parts])
        low, high = np.quantile(draws, [0.025, 0.975])
        found.append(Measured(index, float(index.of(accuracies)), float(low), float(high)))
    return found
