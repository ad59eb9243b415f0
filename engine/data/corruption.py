"""Label noise and class imbalance, as pure functions of labels and a random generator."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.config import Section
from engine.types import IntArray

NoiseKind = Literal["uniform", "flip1", "flip2", "pair"]


class NoiseConfig(Section):
    """Wrong labels in the training set; validation, meta and test labels stay clean."""

    kind: NoiseKind = Field(
        "pair",
        description="uniform: to any class; flip1, flip2: to one or two random other classes; "
        "pair: to the next class",
    )
    ratio: float = Field(0.0, ge=0, lt=1, description="Share of labels that noise may change")


class ImbalanceConfig(Section):
    """Exponential class imbalance of the training set."""

    factor: float = Field(
        1.0,
        ge=1,
        le=1000,
        description="Largest class over smallest class, before rounding to whole images; 1 leaves "
        "the classes as they are",
    )
    shuffled: bool = Field(
        False, description="Draw at random which class is large (else class 0 is the largest)"
    )


def transition_matrix(
    kind: NoiseKind, ratio: float, num_classes: int, *, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return T (C, C), T[i, j] = P(given label j | true label i).

    ``uniform``, ``flip1`` and ``flip2`` are those of Meta-Weight-Net's and CAAT's released code
    (``uniform`` may redraw the true class, so the true flip rate is ratio (C-1)/C); ``pair`` is
    the classic y -> y+1 mod C.
    """
    if ratio == 0:
        return np.eye(num_classes)
    num_targets = 2 if kind == "flip2" else 1
    if num_classes <= num_targets:
        classes = "classes" if num_targets > 1 else "class"
        raise ValueError(f"{kind} noise needs more than {num_targets} {classes}, not {num_classes}")
    keep = (1 - ratio) * np.eye(num_classes)
    if kind == "uniform":
        return keep + ratio / num_classes
    if kind == "pair":
        return keep + ratio * np.roll(np.eye(num_classes), 1, axis=1)
    for row in range(num_classes):
        others = np.delete(np.arange(num_classes), row)
        keep[row, rng.choice(others, num_targets, replace=False)] += ratio / num_targets
    return keep


def noisy_labels(labels: IntArray, matrix: npt.NDArray[np.float64], seed: int) -> IntArray:
    """Draw each given label from its true label's row of the transition matrix."""
    rng = np.random.default_rng(seed)
    draws = rng.random(len(labels))
    edges = matrix.cumsum(axis=1)
    edges[:, -1] = 1.0  # the sum of a row may round to less than a draw
    given = labels.copy()
    for label, row in enumerate(edges):
        members = labels == label
        given[members] = np.searchsorted(row, draws[members], side="right")
    return given


def imbalanced_counts(
    available: IntArray, factor: float, rng: np.random.Generator | None = None
) -> IntArray:
    """Return how many samples of each class remain.

    Class c keeps ``n / factor^(c / (C-1))`` of the smallest class's n samples, rounded down and
    never below one; with a generator the sizes are dealt to the classes at random.
    """
    num_classes = len(available)
    if factor == 1:
        return available.copy()
    exponent = np.arange(num_classes) / max(num_classes - 1, 1)
    # The tiny addend keeps 100 / 10^1 from becoming 9 by rounding.
    counts = np.floor(available.min() / factor**exponent + 1e-9).astype(np.int64)
    counts = np.maximum(counts, 1)
    return counts if rng is None else rng.permutation(counts)
