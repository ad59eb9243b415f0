"""What counted errors say: spread over classes, uncertainty, and whether two runs differ.

No tensors: pages and commands may use it without the engine's weight. SciPy is loaded where its
functions are needed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.evaluation.error_names import BOUNDARY_ERROR, NATURAL_ERROR, ROBUST_ERROR

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


def errors_of(label: Counts, clean: Counts, attacked: Counts) -> dict[str, Marks]:
    """Say which samples count for each of the three errors, (N,) each, from labels and answers.

    Natural: wrong without the attack. Robust: wrong under it. Boundary: right without it and wrong
    under it, sample by sample; so robust = natural + boundary unless an attack mends mistakes.
    """
    natural, robust = np.not_equal(clean, label), np.not_equal(attacked, label)
    return {NATURAL_ERROR: natural, BOUNDARY_ERROR: robust & ~natural, ROBUST_ERROR: robust}


def errors_by_class(
    label: Counts, clean: Counts, attacked: Counts, *, num_classes: int
) -> dict[str, Counts]:
    """Count the three errors per class of the label, (C,) each."""
    wrong = errors_of(label, clean, attacked)
    return {name: class_counts(label[marks], num_classes) for name, marks in wrong.items()}


def class_counts(label: Counts, num_classes: int) -> Counts:
    """Count the samples of each class, (C,), from labels (N,)."""
    return np.bincount(label, minlength=num_classes).astype(np.int64)


@dataclass(frozen=True)
class Spread:
    """How one error is spread over the classes that have samples, as shares of 1.

    Attributes:
        average: Over samples.
        worst: Of the worst class.
        worst_class: Its index; of equal ones the first.
        worst_tenth: Mean over the worst tenth of the classes, rounded up.
        gap: Worst class - best class.
        sd: Standard deviation of the class-wise errors; of the population, as the classes are all
            there are.
        nsd: sd / mean of the class-wise errors (Xu et al. 2021); 0 where no class errs.
    """

    average: float
    worst: float
    worst_class: int
    worst_tenth: float
    gap: float
    sd: float
    nsd: float


def spread(wrong: Counts, count: Counts) -> Spread:
    """Return the spread of an error counted per class, (C,) wrong out of (C,) samples.

    Raises:
        ValueError: No class has a sample.
    """
    present = np.flatnonzero(count)
    if not len(present):
        raise ValueError("no class has a sample")
    errors = wrong[present] / count[present]
    return Spread(
        average=float(wrong.sum() / count.sum()),
        worst=float(errors.max()),
        worst_class=int(present[errors.argmax()]),
        worst_tenth=float(worst_mean(errors, tenths=1)),
        gap=float(errors.max() - errors.min()),
        sd=float(errors.std()),
        nsd=float(nsd(errors)),
    )


def worst_mean(errors: Floats, *, tenths: int) -> Floats:
    """Return the mean of the so many tenths of class errors (..., C) that are worst, rounded up.

    A class without images has NaN and is none.
    """
    ordered = -np.sort(-errors, axis=-1)  # the largest first, NaN last
    num_worst = np.ceil((~np.isnan(errors)).sum(axis=-1) * tenths / 10)
    chosen = np.arange(errors.shape[-1]) < num_worst[..., None]
    found: Floats = np.where(chosen, ordered, 0.0).sum(axis=-1) / num_worst
    return found


def nsd(errors: Floats) -> Floats:
    """Return the normalised standard deviation of class errors (..., C) (Xu et al. 2021).

    That of the population, as the classes are all there are; 0 where no class errs. A class without
    images has NaN and is none.
    """
    mean = np.nanmean(errors, axis=-1)
    found: Floats = np.where(
        mean > 0, np.nanstd(errors, axis=-1) / np.where(mean > 0, mean, 1), 0.0
    )
    return found


def rho(average: float, worst: float, *, base_average: float, base_worst: float) -> float:
    """Return what a method gains in fairness for what it pays, from accuracies above 0.

    rho = (worst - worst0) / worst0 + (average - average0) / average0 against a baseline; above 0
    the worst class gained more than the average lost (WAT, Li & Liu 2023; DAFA, Lee et al. 2024).
    """
    return (worst - base_worst) / base_worst + (average - base_average) / base_average


def confusion(label: Counts, said: Counts, num_classes: int) -> Counts:
    """Return how often class r was called c, (C, C) in row r, from labels and answers (N,)."""
    cells = np.bincount(label * num_classes + said, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)


# -- uncertainty


def wilson(share: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return the Wilson score interval of each share (Wilson, 1927).

    Args:
        share: Shares of 1; NaN stays NaN.
        n: Samples that each share counts over; 0 gives the interval [0, 1].
        level: Confidence of the two-sided interval.
    """
    from scipy.special import ndtri

    p = np.asarray(share, dtype=np.float64)
    size = np.asarray(n, dtype=np.float64)
    z = float(ndtri((1 + level) / 2))
    centre = p * size + z**2 / 2
    half = z * np.sqrt(p * (1 - p) * size + z**2 / 4)
    low, high = (centre - half) / (size + z**2), (centre + half) / (size + z**2)
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


ENOUGH_SEEDS = 3
"""Seeds that an interval or a test is made of: one has none, that of two holds nearly anything."""


def t_interval(values: npt.ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return Student's interval of the mean over seeds (S,); NaN for fewer than `ENOUGH_SEEDS`."""
    from scipy.special import stdtrit

    seeds = np.asarray(values, dtype=np.float64)
    if len(seeds) < ENOUGH_SEEDS:
        return np.nan, np.nan
    half = stdtrit(len(seeds) - 1, (1 + level) / 2) * seeds.std(ddof=1) / np.sqrt(len(seeds))
    return float(seeds.mean() - half), float(seeds.mean() + half)


# -- differences between two runs


def mcnemar(label: Counts, wrong: Marks, other_wrong: Marks, *, num_classes: int) -> Floats:
    """Return, per class, the exact two-sided p-value that two runs err equally often (C,).

    Args:
        label: (N,) classes of the images that both runs were shown.
        wrong: (N,) where the one run errs.
        other_wrong: (N,) where the other does.
        num_classes: C.

    Only images that one run alone gets wrong count: their split is Binomial(n, 1/2) under the
    hypothesis (McNemar, 1947). A class without any has 1.
    """
    from scipy.special import bdtr

    alone = class_counts(label[wrong & ~other_wrong], num_classes)
    other = class_counts(label[other_wrong & ~wrong], num_classes)
    tail = bdtr(np.minimum(alone, other), alone + other, 0.5)
    return np.minimum(2 * np.asarray(tail, dtype=np.float64), 1.0)


def holm(p_values: npt.ArrayLike) -> Floats:
    """Return p-values (T,) corrected for the T tests made (Holm, 1979).

    In ascending order, p_(k) becomes max over j <= k of min(1, (T - j + 1) p_(j)).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected
