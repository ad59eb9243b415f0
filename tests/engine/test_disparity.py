"""Published indices of inequality: equal to their sources' formulas, with honest intervals."""

import numpy as np
import pytest
from scipy import stats

from engine.evaluation.disparity import DRAWS, INDICES, gini, measured

BY_NAME = {index.name: index for index in INDICES}


def published_gini(scores):
    """As GF-Score's paper has it: all pairs, over twice the squared number times the mean."""
    pairs = sum(abs(a - b) for a in scores for b in scores)
    return pairs / (2 * len(scores) ** 2 * np.mean(scores)) if np.mean(scores) else 0.0


@pytest.mark.parametrize("num_classes", [1, 2, 10, 137])
def test_the_gini_coefficient_is_that_of_all_pairs(num_classes):
    scores = np.random.default_rng(num_classes).random(num_classes)
    assert gini(scores) == pytest.approx(published_gini(scores), abs=1e-12)


def test_every_index_is_its_sources_formula():
    scores = np.random.default_rng(1).random(20)
    expected = {
        "Worst class (WCR)": scores.min(),
        "Worst 10 % of classes": np.sort(scores)[:2].mean(),
        "NSD": scores.std() / scores.mean(),
        "Gini (NRGC)": published_gini(scores),
        "Disparity (RDI)": scores.max() - scores.min(),
    }
    assert {name: float(index.of(scores)) for name, index in BY_NAME.items()} == pytest.approx(
        expected
    )


def test_equal_classes_have_no_inequality_and_a_class_without_images_is_none():
    found = {one.index.name: one for one in measured(np.full(5, 3), np.full(5, 10))}
    for name in ("NSD", "Gini (NRGC)", "Disparity (RDI)"):
        assert found[name].value == pytest.approx(0, abs=1e-12)
    wrong, count = np.array([1, 0, 5]), np.array([10, 0, 10])
    with_absent = measured(wrong, count)
    assert with_absent == measured(wrong[[0, 2]], count[[0, 2]])


def test_a_model_that_is_never_right_has_indices_all_the_same():
    found = measured(np.full(4, 7), np.full(4, 7))
    assert [(one.value, one.low, one.high) for one in found] == [(0.0, 0.0, 0.0)] * len(INDICES)
    with pytest.raises(ValueError, match="no class has an image"):
        measured(np.zeros(3, int), np.zeros(3, int))


@pytest.mark.parametrize("name", ["NSD", "Gini (NRGC)", "Disparity (RDI)"])
def test_intervals_are_those_of_scipys_bootstrap_of_the_images(name):
    """Images are drawn there, and numbers of images here: the same distribution."""
    rng, n, shares = np.random.default_rng(2), 60, np.array([0.2, 0.5, 0.6, 0.9])
    right = rng.random((4, n)) < shares[:, None]
    mine = next(
        one for one in measured(n - right.sum(axis=1), np.full(4, n)) if one.index.name == name
    )

    def of_images(*classes, axis=-1):
        return BY_NAME[name].of(np.stack([one.mean(axis=axis) for one in classes], axis=-1))

    reference = stats.bootstrap(
        tuple(right.astype(float)),
        of_images,
        n_resamples=DRAWS,
        method="percentile",
        random_state=np.random.default_rng(3),
        vectorized=True,
    ).confidence_interval
    width = reference.high - reference.low
    assert mine.low == pytest.approx(reference.low, abs=0.1 * width)
    assert mine.high == pytest.approx(reference.high, abs=0.1 * width)


def test_a_thousand_classes_are_measured_at_once_and_equal_runs_equally():
    rng = np.random.default_rng(4)
    count = rng.integers(1, 60, 1000)
    wrong = rng.binomial(count, 0.4)
    assert measured(wrong, count) == measured(wrong, count)
    assert all(one.low <= one.high for one in measured(wrong, count))
