"""Wrong labels under imbalance: the order within each class, its area and its interval."""

import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score

from engine.inspection.label_noise import ordering, place_in_class, roc, separation, share_between


def drawn(num=3000, *, classes=6, ties=False, seed=0):
    """Doubt with an offset of each class, wrong labels above right ones by half a deviation."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, num, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    flipped = rng.random(num) < 0.2
    doubt = rng.normal(size=num) + 0.5 * flipped + 3.0 * labels
    return (doubt.round(1) if ties else doubt), flipped, labels


def test_a_class_offset_with_a_perfect_order_in_each_class_gives_one_within_a_class():
    labels = np.repeat(np.arange(5), 40)
    flipped = np.tile(np.arange(40) < 8, 5)
    weight = 10.0 * labels + np.where(flipped, 1.0, 0.0) + np.linspace(0, 0.5, 200)
    found = roc("anti_adversary_weight", weight, flipped, labels=labels)
    assert found.within.auc == 1.0
    assert found.pooled.auc == pytest.approx(roc_auc_score(flipped, weight))
    assert found.pooled.auc < 0.7
    assert found.between > 0.9
    assert found.within.low < 1.0 == found.within.high  # 40 of 200 can be perfect by chance


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_in_each_class_is_scikit_learns_and_their_mean_counts_wrong_labels(ties):
    doubt, flipped, labels = drawn(ties=ties)
    found = ordering(doubt, flipped, labels)
    assert found.classes.tolist() == list(range(6))
    expected = [roc_auc_score(flipped[labels == c], doubt[labels == c]) for c in range(6)]
    assert found.per_class == pytest.approx(expected, abs=1e-12)
    wrong = [flipped[labels == c].sum() for c in range(6)]
    assert found.auc == pytest.approx(np.average(expected, weights=wrong), abs=1e-12)


def test_classes_that_lack_one_kind_of_label_are_left_out():
    labels = np.array([0, 0, 0, 1, 1, 3, 3])
    flipped = np.array([True, False, False, True, True, False, False])
    found = ordering(np.array([5.0, 1, 9, 0, 0, 7, 7]), flipped, labels)
    assert found.classes.tolist() == [0]
    assert found.auc == 0.5
    one_kind = np.array([True, True, False, False])
    assert ordering(np.arange(4.0), one_kind, np.array([0, 0, 1, 1])) is None


@pytest.mark.parametrize("auc", [0.5, 0.75, 0.92])
def test_the_interval_holds_the_true_area_in_95_of_100_draws(auc):
    rng, shift, held = np.random.default_rng(1), np.sqrt(2) * norm.ppf(auc), 0
    labels = np.repeat([0, 1, 2], [200, 60, 30])
    for _ in range(400):
        flipped = rng.random(290) < 0.2
        found = ordering(rng.normal(size=290) + shift * flipped + labels, flipped, labels)
        held += found.low <= auc <= found.high
    assert 0.925 <= held / 400 <= 0.99


def test_more_samples_make_the_interval_narrower_and_it_stays_within_0_and_1():
    few, many = (ordering(*drawn(num)) for num in (200, 20_000))
    for found in (few, many):
        assert 0 <= found.low < found.auc < found.high <= 1
    assert few.high - few.low > 5 * (many.high - many.low)


def test_one_wrong_and_one_right_label_tell_next_to_nothing():
    found = ordering(np.array([1.0, 0.0]), np.array([True, False]), np.array([0, 0]))
    assert (found.auc, found.high) == (1.0, 1.0)
    assert found.low < 0.25


@pytest.mark.parametrize("ties", [False, True])
def test_the_place_in_a_class_is_its_rank_among_that_class(ties):
    doubt, _, labels = drawn(ties=ties)
    found = place_in_class(doubt, labels)
    for label in range(6):
        own = labels == label
        assert found[own] == pytest.approx((rankdata(doubt[own]) - 0.5) / own.sum())
    assert place_in_class(np.array([3.0]), np.array([7])).tolist() == [0.5]


def test_the_share_between_classes_is_one_minus_the_variance_that_stays_within():
    doubt, _, labels = drawn()
    within = sum(((labels == c).mean()) * doubt[labels == c].var() for c in range(6))
    assert share_between(doubt, labels) == pytest.approx(1 - within / doubt.var())
    assert share_between(np.ones(5), np.arange(5)) == 0.0
    assert share_between(np.arange(5.0), np.arange(5)) == 1.0


def test_a_run_records_the_area_within_a_class_beside_that_over_all():
    doubt, flipped, labels = drawn()
    columns = {"anti_adversary_weight": doubt, "loss": doubt}
    found = separation(columns, flipped, labels, has_anti=True, told="anti_adversary_weight")
    assert found["flipped_auc_in_class"] == ordering(doubt, flipped, labels).auc
    assert found["flipped_auc"] == pytest.approx(roc_auc_score(flipped, doubt), abs=1e-12)
