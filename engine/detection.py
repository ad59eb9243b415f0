"""How well one number of each sample tells wrong labels from right ones."""

from dataclasses import dataclass

import numpy as np

from engine.types import BoolArray, FloatArray

SMALL_IS_DOUBTED = ("clean_weight", "adversary_weight", "margin")
"""Of every other quantity the large values are those of samples that may have a wrong label."""
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
    from sklearn.metrics import auc, roc_curve  # a second to load

    if not flipped.any() or flipped.all() or np.ptp(values) == 0:
        return None
    sign = -1 if name in SMALL_IS_DOUBTED else 1
    doubt = sign * values
    false, true, threshold = roc_curve(flipped, doubt)
    kept = np.unique(np.linspace(0, len(false) - 1, MAX_POINTS).astype(int))
    return Roc(float(auc(false, true)), false[kept], true[kept], sign * threshold[kept])
