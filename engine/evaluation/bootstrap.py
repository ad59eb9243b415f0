"""How errors move when seeds and test images are drawn again: the bootstrap.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993; test images are drawn class by
class, as their number in each class is fixed, and every model is shown the same draw.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.evaluation.statistics import Counts, Floats, Marks, class_counts


@dataclass(frozen=True)
class ClassWise:
    """An error of R runs in C classes, in B draws of the test images.

    Attributes:
        average: (R, B) over images.
        worst: (R, B) of the class that is worst in the draw.
    """

    average: Floats
    worst: Floats


def drawn_images(
    label: Counts, num_classes: int, *, times: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return how often each test image is in each draw, (N, B); classes keep their sizes."""
    counts = np.zeros((len(label), times), dtype=np.float32)
    for index in range(num_classes):
        members = np.flatnonzero(label == index)
        if len(members):
            even = np.full(len(members), 1 / len(members))
            counts[members] = rng.multinomial(len(members), even, size=times).T
    return counts


def errors_in(
    draws: npt.NDArray[np.float32], label: Counts, wrong: Marks, *, num_classes: int
) -> ClassWise:
    """Return an error of runs in each draw of the images.

    Args:
        draws: (N, B) of `drawn_images`.
        label: (N,) classes of the images.
        wrong: (R, N) where each run errs.
        num_classes: C.
    """
    sizes = class_counts(label, num_classes)
    by_class = np.stack(
        [
            wrong[:, label == index].astype(np.float32) @ draws[label == index] / sizes[index]
            for index in np.flatnonzero(sizes)
        ],
        axis=1,
    ).astype(np.float64)  # (R, C, B)
    shares = sizes[sizes > 0] / sizes.sum()
    return ClassWise(np.einsum("rcb,c->rb", by_class, shares), by_class.max(axis=1))


def drawn_seeds(num_seeds: int, *, times: int, rng: np.random.Generator) -> Counts:
    """Return which seeds, by their places, are in each draw: (B, S)."""
    return rng.integers(num_seeds, size=(times, num_seeds))


def interval(values: npt.ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the middle of draws, (B,), that holds so much of them; NaN if most draws have none."""
    found = np.asarray(values, dtype=np.float64)
    known = found[~np.isnan(found)]
    if 2 * len(known) <= len(found):
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
