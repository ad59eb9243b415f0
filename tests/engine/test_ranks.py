"""Average ranks, Friedman's test and Nemenyi's critical difference, against published numbers."""

import numpy as np
import pytest
from scipy import stats

from engine.evaluation.ranks import cliques, ranks

# Demsar (JMLR 2006), table 6: AUC of four variants of C4.5 on 14 data sets.
AUC = [
    (0.763, 0.768, 0.771, 0.798),
    (0.599, 0.591, 0.590, 0.569),
    (0.954, 0.971, 0.968, 0.967),
    (0.628, 0.661, 0.654, 0.657),
    (0.882, 0.888, 0.886, 0.898),
    (0.936, 0.931, 0.916, 0.931),
    (0.661, 0.668, 0.609, 0.685),
    (0.583, 0.583, 0.563, 0.625),
    (0.775, 0.838, 0.866, 0.875),
    (1.000, 1.000, 1.000, 1.000),
    (0.940, 0.962, 0.965, 0.962),
    (0.619, 0.666, 0.614, 0.669),
    (0.972, 0.981, 0.9751, 0.975),
    (0.957, 0.978, 0.946, 0.970),
]


def test_the_example_of_demsar_has_its_ranks_and_its_critical_difference():
    found = ranks([[1 - value for value in row] for row in AUC])
    assert found.mean == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert found.n == 14


@pytest.mark.parametrize(
    ("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (7, 2.949), (10, 3.164)]
)
def test_the_critical_difference_has_the_published_quantiles(k, q):
    errors = np.random.default_rng(0).uniform(size=(9, k))
    expected = q * np.sqrt(k * (k + 1) / (6 * 9))
    assert ranks(errors).critical_difference == pytest.approx(expected, rel=5e-4)


def test_friedmans_test_is_scipys():
    errors = np.random.default_rng(1).uniform(size=(6, 4))
    assert ranks(errors).p_value == pytest.approx(stats.friedmanchisquare(*errors.T).pvalue)


def test_two_methods_and_methods_that_never_differ_have_no_friedman_test():
    assert np.isnan(ranks([[0.1, 0.2], [0.3, 0.1]]).p_value)
    alike = ranks([[0.5, 0.5, 0.5]] * 3)
    assert np.isnan(alike.p_value)
    assert alike.mean.tolist() == [2, 2, 2]


@pytest.mark.parametrize("errors", [[[0.1, 0.2]], [[0.1], [0.2]]])
def test_one_setting_or_one_method_makes_no_ranking(errors):
    with pytest.raises(ValueError, match="make no ranking; it takes two of each"):
        ranks(errors)


def test_cliques_are_the_largest_sets_that_hold_together():
    mean = np.array([3.143, 2.000, 2.893, 1.964])
    assert cliques(mean, 1.25) == [[3, 1, 2, 0]]
    assert cliques(mean, 1.0) == [[3, 1, 2], [2, 0]]
    assert cliques(mean, 0.1) == [[3, 1]]
    assert cliques(mean, 0.01) == []
