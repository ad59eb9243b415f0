from itertools import product
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engine.evaluation.comparison import paired_difference, seed_difference


def table(both: int, alone: int, other: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of two runs errs, from the four counts of their paired table."""
    wrong = [True] * (both + alone) + [False] * (other + neither)
    other_wrong = [True] * both + [False] * alone + [True] * other + [False] * neither
    return np.array(wrong), np.array(other_wrong)


def test_the_difference_is_that_of_the_two_shares_and_has_the_sign_of_the_first():
    wrong, other_wrong = table(both=5, alone=12, other=3, neither=20)
    found = paired_difference(np.zeros(40, int), wrong, other_wrong, num_classes=1)
    assert found.value[0] == pytest.approx(wrong.mean() - other_wrong.mean()) == 9 / 40
    assert found.low[0] < 9 / 40 < found.high[0]
    assert found.p_value[0] == pytest.approx(stats.binomtest(3, 15).pvalue)
    assert found.n.tolist() == [40]


def test_the_interval_is_that_of_a_calculation_by_hand():
    wrong, other_wrong = table(both=0, alone=4, other=1, neither=5)
    found = paired_difference(np.zeros(10, int), wrong, other_wrong, num_classes=1)
    # 4.5 and 1.5 of 12: difference 3 / 12, variance (6 - 9 / 12) / 144
    half = 1.959964 * (5.25**0.5) / 12
    assert (found.low[0], found.high[0]) == pytest.approx((0.25 - half, 0.25 + half), abs=1e-6)


def test_the_two_runs_may_change_places():
    wrong, other_wrong = table(both=2, alone=7, other=1, neither=10)
    label = np.arange(20) % 3
    one = paired_difference(label, wrong, other_wrong, num_classes=3)
    back = paired_difference(label, other_wrong, wrong, num_classes=3)
    assert back.value == pytest.approx(-one.value)
    assert back.low == pytest.approx(-one.high)
    assert back.p_value == pytest.approx(one.p_value)


def test_each_class_is_compared_alone_and_one_without_images_has_no_difference():
    label = np.array([0, 0, 2, 2])
    wrong, other_wrong = np.array([1, 1, 0, 0], bool), np.array([0, 0, 0, 1], bool)
    found = paired_difference(label, wrong, other_wrong, num_classes=4)
    assert found.value[[0, 2]].tolist() == [1.0, -0.5]
    for column in (found.value, found.low, found.high):
        assert np.isnan(column[[1, 3]]).all()
    assert (found.low[[0, 2]] >= -1).all()
    assert (found.high[[0, 2]] <= 1).all()


@pytest.mark.parametrize(("alone", "other"), [(0.1, 0.1), (0.3, 0.1), (0.05, 0.4)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(alone, other):
    """Every table of 30 images, weighted by its probability: no chance in this test."""
    n, covered = 30, 0.0
    for b, c in product(range(n + 1), repeat=2):
        if b + c > n:
            continue
        ways = factorial(n) / (factorial(b) * factorial(c) * factorial(n - b - c))
        chance = ways * alone**b * other**c * (1 - alone - other) ** (n - b - c)
        wrong, other_wrong = table(0, b, c, n - b - c)
        found = paired_difference(np.zeros(n, int), wrong, other_wrong, num_classes=1)
        covered += chance * (found.low[0] <= alone - other <= found.high[0])
    assert 0.93 < covered < 0.99


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_a_higher_level_makes_a_wider_interval_that_ends_at_one(level):
    wrong, other_wrong = table(both=1, alone=9, other=0, neither=0)
    found = paired_difference(np.zeros(10, int), wrong, other_wrong, num_classes=1, level=level)
    centre, z = 9 / 12, stats.norm.ppf((1 + level) / 2)
    half = z * (10 - 81 / 12) ** 0.5 / 12
    assert found.low[0] == pytest.approx(centre - half)
    assert found.high[0] == pytest.approx(min(centre + half, 1))
    back = paired_difference(np.zeros(10, int), other_wrong, wrong, num_classes=1, level=level)
    assert back.low[0] == pytest.approx(max(-centre - half, -1))


@settings(deadline=None)
@given(
    st.dictionaries(st.integers(0, 9), st.floats(0, 1, allow_nan=False), min_size=2, max_size=8),
    st.dictionaries(st.integers(0, 9), st.floats(0, 1, allow_nan=False), min_size=2, max_size=8),
)
def test_the_test_over_seeds_is_scipys_of_the_seeds_that_both_have(errors, others):
    found = seed_difference(errors, others)
    common = sorted(errors.keys() & others.keys())
    assert found.n == len(common)
    gaps = np.array([errors[seed] - others[seed] for seed in common])
    if len(common) < 3:
        assert np.isnan([found.p_value, found.low, found.high]).all()
        return
    assert found.value == pytest.approx(gaps.mean())
    if gaps.std(ddof=1) > 1e-9:
        expected = stats.ttest_rel([errors[s] for s in common], [others[s] for s in common])
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)
        interval = expected.confidence_interval()
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_equal_differences_leave_no_doubt():
    assert seed_difference({0: 0.2, 1: 0.3, 2: 0.4}, {0: 0.1, 1: 0.2, 2: 0.3}).p_value == 0
    assert seed_difference({0: 0.2, 1: 0.3, 2: 0.4}, {0: 0.2, 1: 0.3, 2: 0.4}).p_value == 1
    assert np.isnan(seed_difference({0: 0.2}, {1: 0.2}).value)
