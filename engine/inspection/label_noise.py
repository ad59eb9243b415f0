"""How well a number of each sample tells wrong labels from right ones, over all and by class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.inspection.distributions import ANTI_ADVERSARY_FROM, STEPS_WITHSTOOD
from engine.types import BoolArray, Columns, FloatArray, IntArray

SMALL_IS_DOUBTED = ("clean_weight", "adversary_weight", "margin", STEPS_WITHSTOOD)
"""Of every other quantity the large values are those of samples that may have a wrong label."""
BY_STEPS = {"flipped_auc_steps": STEPS_WITHSTOOD}
DETECTORS = {"flipped_auc_loss": "loss", **BY_STEPS}
"""Measures of what else could tell wrong labels, for comparison, by the quantity that does."""
MAX_POINTS = 200
Z_95 = 1.959964
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ordering:
    """How well samples are ordered: wrong labels above right ones.

    Attributes:
        auc: The chance, 0 to 1, that a wrong label drawn at random is more doubted than a right one
            that it may be compared with, ties counting one half.
        low, high: Its 95 % interval.
        classes: (K,) given labels that have both, among whose samples this is so.
        per_class: (K,) the chance in each of them.
    """

    auc: float
    low: float
    high: float
    classes: IntArray
    per_class: FloatArray


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic: who is flagged when all beyond a threshold are.

    Attributes:
        pooled: The order over all samples: a wrong label is compared with every right one. Its
            ``auc`` is the area under the whole curve.
        within: The order within the classes: it is compared with right ones of its own given label.
            None where no class has both.
        between: Share of the quantity's variance that lies between the given labels, 0 to 1.
        false: (P,) share of right labels that are flagged.
        true: (P,) share of wrong labels that are flagged.
        threshold: (P,) the quantity at which this is so; not finite where nobody is flagged.
    """

    pooled: Ordering
    within: Ordering | None
    between: float
    false: FloatArray
    true: FloatArray
    threshold: FloatArray

    @property
    def auc(self) -> float:
        return self.pooled.auc


def roc(name: str, values: FloatArray, flipped: BoolArray, *, labels: IntArray) -> Roc | None:
    """Return the curve of one quantity, at most `MAX_POINTS` of it, or None where there is none.

    There is none if all labels are right or all are wrong, or if all samples have the same value.

    Args:
        name: Of the quantity; it says whether small or large values are doubted.
        values: (N,) of each sample.
        flipped: (N,) whether its given label is not the dataset's.
        labels: (N,) given labels.
    """
    from sklearn.metrics import roc_curve  # two seconds to load

    if not flipped.any() or flipped.all() or np.ptp(values) == 0:
        return None
    doubt = doubt_of(name, values)
    false, true, threshold = roc_curve(flipped, doubt)
    kept = np.unique(np.linspace(0, len(false) - 1, MAX_POINTS).astype(int))
    pooled = ordering(doubt, flipped, np.zeros_like(labels))
    assert pooled is not None
    return Roc(
        pooled,
        ordering(doubt, flipped, labels),
        share_between(values, labels),
        false[kept],
        true[kept],
        doubt_of(name, threshold[kept]),
    )


def doubt_of(name: str, values: FloatArray) -> FloatArray:
    """Return the values of a quantity so that large ones are doubted; twice is as it was."""
    return values * -1.0 if name in SMALL_IS_DOUBTED else values


def ordering(doubt: FloatArray, flipped: BoolArray, labels: IntArray) -> Ordering | None:
    """Return how well doubt orders the samples of each class, or None: no class has both kinds.

    The mean over classes counts a class by its wrong labels, so it is the chance that a wrong label
    drawn at random is more doubted than a right one of its own class. The interval is Newcombe's
    (2006, method 5) for one class: the chances that are not refuted by the one found, with the
    variance of Hanley and McNeil (1982) that they would have. It does not shrink to nothing where
    the order is perfect. Over classes the variances add, by the squares of their shares.

    Args:
        doubt: (N,) large where a label is doubted.
        flipped: (N,) whether it is wrong.
        labels: (N,) classes within which samples are compared.
    """
    wrong, right = _counts(flipped, labels)
    known = np.flatnonzero((wrong > 0) & (right > 0))
    if not len(known):
        return None
    per_class = _areas(doubt, flipped, labels)[known]
    wrong, right = wrong[known], right[known]
    shares = wrong / wrong.sum()
    auc = float(np.clip(shares @ per_class, 0, 1))
    low, high = (_end(auc, end, wrong=wrong, right=right) for end in (0.0, 1.0))
    return Ordering(auc, low, high, known, per_class)


def _counts(flipped: BoolArray, labels: IntArray) -> tuple[IntArray, IntArray]:
    """Return how many wrong and how many right labels each class has, (C,) each."""
    classes = int(labels.max()) + 1
    wrong = np.bincount(labels[flipped], minlength=classes)
    return wrong, np.bincount(labels, minlength=classes) - wrong


def _areas(doubt: FloatArray, flipped: BoolArray, labels: IntArray) -> FloatArray:
    """Return the area under each class's ROC curve, (C,), by ranks (Mann and Whitney, 1947).

    Not finite where a class lacks one of both kinds. It is `sklearn.metrics.roc_auc_score`, without
    the two seconds that its loading would take between a launch and the first step.
    """
    wrong, right = _counts(flipped, labels)
    total = np.bincount(
        labels[flipped], weights=_ranks(doubt, labels)[flipped], minlength=len(wrong)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        areas: FloatArray = (total - wrong * (wrong + 1) / 2) / (wrong * right)
    return areas


def _ranks(doubt: FloatArray, labels: IntArray) -> Doubles:
    """Return the place (N,) of each sample in its class, from 1; equal ones share their mean."""
    order = np.lexsort((doubt, labels))
    sorted_labels, sorted_doubt = labels[order], doubt[order]
    starts = np.flatnonzero(
        np.r_[True, np.diff(sorted_labels) != 0] | np.r_[True, np.diff(sorted_doubt) != 0]
    )
    count = np.diff(np.r_[starts, len(order)])
    first = np.searchsorted(sorted_labels, sorted_labels[starts])  # of the class
    ranks: Doubles = np.empty(len(order))
    ranks[order] = np.repeat(starts - first + (count + 1) / 2, count)
    return ranks


def place_in_class(doubt: FloatArray, labels: IntArray) -> Doubles:
    """Return the share (N,) of its class that each sample is doubted more than, 0 to 1.

    Equal ones, and the sample itself, count one half, so the only sample of a class stands in the
    middle: nothing is known of it.
    """
    places: Doubles = (_ranks(doubt, labels) - 0.5) / np.bincount(labels)[labels]
    return places


def share_between(values: FloatArray, labels: IntArray) -> float:
    """Return the share of the variance of values (N,) that lies between classes, 0 to 1.

    This is the correlation ratio (Fisher's eta squared); 0 where all values are the same.
    """
    centred = values.astype(np.float64) - values.mean(dtype=np.float64)
    whole = float(centred @ centred)
    if whole == 0:
        return 0.0
    total, count = np.bincount(labels, weights=centred), np.bincount(labels)
    return float(min((total**2 / np.maximum(count, 1)).sum() / whole, 1.0))


def _end(auc: float, bound: float, *, wrong: IntArray, right: IntArray) -> float:
    """Return the chance farthest towards a bound that the one found does not refute."""
    if auc == bound:
        return bound
    shares, spread = wrong / wrong.sum(), (wrong + right) / 2 - 1

    def excess(chance: float) -> float:
        both = spread * ((1 - chance) / (2 - chance) + chance / (1 + chance))
        variance = chance * (1 - chance) * (1 + both) / (wrong * right)
        return float((chance - auc) ** 2 - Z_95**2 * (shares**2 @ variance))

    inside, outside = auc, bound
    for _ in range(50):  # halved to below 1e-15
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if excess(middle) < 0 else (inside, middle)
    return (inside + outside) / 2


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
    everyone = np.zeros(len(flipped), dtype=np.int64)
    return {
        measure: float(_areas(doubt_of(name, columns[name]), flipped, everyone)[0])
        for measure, name in detectors.items()
        if name in columns
    }


def separation(
    columns: Columns, flipped: BoolArray, labels: IntArray, *, has_anti: bool, told: str
) -> dict[str, float]:
    """Return what a policy's weights make of right and wrong labels, by name.

    ``flipped_auc`` is the ROC AUC of "a sample trusted less has a wrong label", 0 to 1, 0.5 for a
    guess: less trusted is a larger anti-adversary weight, or a smaller clean weight where that is
    what the method learns; ``flipped_auc_in_class`` compares within the given labels alone.
    ``flipped_auc_loss`` is that of the clean loss, for comparison, and ``flipped_auc_steps`` that
    of the steps withstood, where they were counted. All, and the means of right and wrong labels
    apart, are known only where noise was injected.

    Args:
        columns: What an epoch recorded of each sample, (N,) each.
        flipped: (N,) whether its given label is not the dataset's.
        labels: (N,) given labels.
        has_anti: Whether the method uses anti-adversaries.
        told: The weight that says how much a sample is trusted.
    """
    weight = columns["anti_adversary_weight"]
    measures = {"anti_adversary_share": (weight > ANTI_ADVERSARY_FROM).mean()} if has_anti else {}
    if flipped.any() and not flipped.all():
        measures |= detection(columns, flipped, {**DETECTORS, "flipped_auc": told})
        within = ordering(doubt_of(told, columns[told]), flipped, labels)
        measures |= {} if within is None else {"flipped_auc_in_class": within.auc}
        for group, members in (("clean", ~flipped), ("flipped", flipped)) if has_anti else ():
            share = (weight[members] > ANTI_ADVERSARY_FROM).mean()
            measures[f"anti_adversary_share_{group}"] = share
            measures[f"anti_adversary_weight_{group}"] = weight[members].mean()
    return {name: float(value) for name, value in measures.items()}
