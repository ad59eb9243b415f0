"""Runs against each other: how far two differ, and which of many no other beats.

No tensors: pages may use it without the engine's weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.evaluation.statistics import (
    ENOUGH_SEEDS,
    Counts,
    Floats,
    Marks,
    class_counts,
    mcnemar,
    t_interval,
)


@dataclass(frozen=True)
class PairedDifference:
    """One run's error less another's, per class, (C,) each; NaN for a class without images.

    Attributes:
        value: The difference of the two shares, -1 to 1.
        low, high: Its interval.
        p_value: Of the exact McNemar test, not corrected for the number of tests.
        n: Images of the class.
    """

    value: Floats
    low: Floats
    high: Floats
    p_value: Floats
    n: Counts


def paired_difference(
    label: Counts, wrong: Marks, other_wrong: Marks, *, num_classes: int, level: float = 0.95
) -> PairedDifference:
    """Compare two runs image by image.

    With b images that the one run alone gets wrong, c that the other alone does, and n in all, the
    difference is (b - c) / n. The interval is Wald's with half an image added to each cell of the
    paired table: with b' = b + 1/2, c' = c + 1/2, n' = n + 2 it is d' -+ z sqrt(b' + c' -
    (b' - c')^2 / n') / n' around d' = (b' - c') / n' (Agresti and Min, Statistics in Medicine
    2005).

    Args:
        label: (N,) classes of the images that both runs were shown.
        wrong: (N,) where the one run errs.
        other_wrong: (N,) where the other does.
        num_classes: C.
        level: Confidence of the two-sided interval.
    """
    from scipy.special import ndtri

    n = class_counts(label, num_classes)
    alone = class_counts(label[wrong & ~other_wrong], num_classes)
    other = class_counts(label[other_wrong & ~wrong], num_classes)
    size = n + 2
    centre = (alone - other) / size
    z = float(ndtri((1 + level) / 2))
    half = z * np.sqrt(alone + other + 1 - (alone - other) ** 2 / size) / size
    value, low, high = (
        np.where(n > 0, found, np.nan)
        for found in (
            (alone - other) / np.maximum(n, 1),
            np.maximum(centre - half, -1.0),
            np.minimum(centre + half, 1.0),
        )
    )
    return PairedDifference(
        value, low, high, mcnemar(label, wrong, other_wrong, num_classes=num_classes), n
    )


@dataclass(frozen=True)
class SeedDifference:
    """One method's error less another's, over the seeds that both have.

    Attributes:
        value: Mean difference of the shares, -1 to 1; NaN without a common seed.
        low, high: Student's interval of that mean; NaN for fewer than `ENOUGH_SEEDS`.
        p_value: Of the paired t-test, two-sided, not corrected; NaN for fewer than those.
        n: Common seeds.
    """

    value: float
    low: float
    high: float
    p_value: float
    n: int


def seed_difference(
    errors: Mapping[int, float], others: Mapping[int, float], level: float = 0.95
) -> SeedDifference:
    """Compare two methods seed by seed (paired t-test; Student, 1908).

    Runs of one seed share data, split and initial network, so that their differences vary less
    than they do. Equal differences at every seed leave no doubt: p is 0, or 1 where they are 0.

    Args:
        errors: Seed -> the one method's error; NaN is left out.
        others: The other's.
        level: Confidence of the interval.
    """
    from scipy.special import stdtr

    pairs = [errors[seed] - others[seed] for seed in sorted(errors.keys() & others.keys())]
    gaps = np.array([gap for gap in pairs if gap == gap], dtype=np.float64)
    n, mean = len(gaps), float(gaps.mean()) if len(gaps) else np.nan
    if n < ENOUGH_SEEDS:
        return SeedDifference(mean, np.nan, np.nan, np.nan, n)
    low, high = t_interval(gaps, level)
    error = gaps.std(ddof=1) / np.sqrt(n)
    if error <= np.abs(gaps).max() * 1e-12:
        return SeedDifference(mean, low, high, 1.0 if mean == 0 else 0.0, n)
    return SeedDifference(mean, low, high, float(2 * stdtr(n - 1, -abs(mean) / error)), n)


def pareto_front(points: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return which points no other dominates, (P,).

    A point dominates another that it equals or exceeds in every quantity and exceeds in one, so
    equal points stand on the front together.

    Args:
        points: (P, Q) values of Q quantities, larger is better; a point with a NaN is never on the
            front and dominates none.
    """
    values = np.atleast_2d(np.asarray(points, dtype=np.float64))
    known = ~np.isnan(values).any(axis=1)
    other, one = values[:, None], values[None]
    dominates = (other >= one).all(axis=2) & (other > one).any(axis=2)
    return np.logical_and(known, ~dominates.any(axis=0))
