"""How well a number of each sample tells wrong labels from right ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.inspection.distributions import ANTI_ADVERSARY_FROM, STEPS_WITHSTOOD
from engine.types import BoolArray, Columns, FloatArray

SMALL_IS_DOUBTED = ("clean_weight", "adversary_weight", "margin", STEPS_WITHSTOOD)
"""Of every other quantity the large values are those of samples that may have a wrong label."""
BY_STEPS = {"flipped_auc_steps": STEPS_WITHSTOOD}
DETECTORS = {"flipped_auc_loss": "loss", **BY_STEPS}
"""Measures of what else could tell wrong labels, for comparison, by the quantity that does."""
MAX_POINTS = 200


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic: who is flagged when all beyond a threshold are.

    Attributes:
        auc: Area under the whole curve, 0 to 1: the chance that a wrong label is more doubted than
            a right one, ties counting one half.
        false: (P,) share of right labels that are flagged.
        true: (P,) share of wrong labels that are flagged.
        threshold: (P,) the quantity at which this is so; not finite where nobody is flagged.
    """

    auc: float
    false: FloatArray
    true: FloatArray
    threshold: FloatArray


def roc(name: str, values: FloatArray, flipped: BoolArray) -> Roc | None:
    """Return the curve of one quantity, at most `MAX_POINTS` of it, or None where there is none.

    There is none if all labels are right or all are wrong, or if all samples have the same value.

    Args:
        name: Of the quantity; it says whether small or large values are doubted.
        values: (N,) of each sample.
        flipped: (N,) whether its given label is not the dataset's.
    """
    from sklearn.metrics import auc, roc_curve  # two seconds to load

    if not flipped.any() or flipped.all() or np.ptp(values) == 0:
        return None
    sign = _sign_of_doubt(name)
    false, true, threshold = roc_curve(flipped, sign * values)
    kept = np.unique(np.linspace(0, len(false) - 1, MAX_POINTS).astype(int))
    return Roc(float(auc(false, true)), false[kept], true[kept], sign * threshold[kept])


def _sign_of_doubt(name: str) -> int:
    return -1 if name in SMALL_IS_DOUBTED else 1


def detection(
    columns: Columns, flipped: BoolArray, detectors: Mapping[str, str] = DETECTORS
) -> dict[str, float]:
    """Return the ROC AUC of each detector of wrong labels whose quantity was recorded, by name.

    Args:
        columns: What an epoch recorded of each sample, (N,) each.
        flipped: (N,) whether its given label is not the dataset's; there are none without both.
        detectors: Name of the measure -> the quantity.
    """
    if not flipped.any() or flipped.all():
        return {}
    return {
        measure: _auc(flipped, _sign_of_doubt(name) * columns[name])
        for measure, name in detectors.items()
        if name in columns
    }


def separation(
    columns: Columns, flipped: BoolArray, *, has_anti: bool, told: str
) -> dict[str, float]:
    """Return what a policy's weights make of right and wrong labels, by name.

    ``flipped_auc`` is the ROC AUC of "a sample trusted less has a wrong label", 0 to 1, 0.5 for a
    guess: less trusted is a larger anti-adversary weight, or a smaller clean weight where that is
    what the method learns. ``flipped_auc_loss`` is that of the clean loss, for comparison, and
    ``flipped_auc_steps`` that of the steps withstood, where they were counted. All, and the means
    of right and wrong labels apart, are known only where noise was injected.

    Args:
        columns: What an epoch recorded of each sample, (N,) each.
        flipped: (N,) whether its given label is not the dataset's.
        has_anti: Whether the method uses anti-adversaries.
        told: The weight that says how much a sample is trusted.
    """
    weight = columns["anti_adversary_weight"]
    measures = {"anti_adversary_share": (weight > ANTI_ADVERSARY_FROM).mean()} if has_anti else {}
    if flipped.any() and not flipped.all():
        measures |= detection(columns, flipped, {**DETECTORS, "flipped_auc": told})
        for group, members in (("clean", ~flipped), ("flipped", flipped)) if has_anti else ():
            share = (weight[members] > ANTI_ADVERSARY_FROM).mean()
            measures[f"anti_adversary_share_{group}"] = share
            measures[f"anti_adversary_weight_{group}"] = weight[members].mean()
    return {name: float(value) for name, value in measures.items()}


def _auc(flipped: BoolArray, doubt: FloatArray) -> float:
    """Return the area under the ROC curve, by the ranks of both groups (Mann and Whitney, 1947).

    It is `sklearn.metrics.roc_auc_score`, without the two seconds that its loading would take
    between a launch and the first step.
    """
    _, place, count = np.unique(doubt, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]  # of equal values, the mean of their places
    n, others = flipped.sum(), (~flipped).sum()
    return float((rank[flipped].sum() - n * (n + 1) / 2) / (n * others))
