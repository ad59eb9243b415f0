import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import confusion_matrix
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from engine.evaluation.error_names import ERRORS
from engine.evaluation.evaluate import Outcomes, count_by_class
from engine.evaluation.statistics import (
    Spread,
    confusion,
    errors_by_class,
    errors_of,
    holm,
    mcnemar,
    rho,
    spread,
    t_interval,
    wilson,
)

# CIFAR-10 of DAFA's main table (Lee et al., ICLR 2024; figs/fig_result_main.png of their repository
# at c60ba83): average and worst accuracy, clean and robust, and the rho printed beside each pair.
TRADES = {"clean": (82.04, 65.70), "robust": (49.80, 21.31)}
DAFA_TABLE = [
    ("FRL", "clean", 82.97, 71.94, 0.11),
    ("FRL", "robust", 44.68, 25.84, 0.11),
    ("CFA", "clean", 79.81, 65.18, -0.04),
    ("CFA", "robust", 50.78, 27.62, 0.32),
    ("BAT", "clean", 87.16, 74.02, 0.19),
    ("BAT", "robust", 45.89, 17.82, -0.24),
    ("WAT", "clean", 80.97, 70.57, 0.06),
    ("WAT", "robust", 46.30, 28.55, 0.27),
    ("DAFA", "clean", 81.63, 67.90, 0.03),
    ("DAFA", "robust", 49.05, 30.53, 0.42),
]


@pytest.mark.parametrize(("method", "kind", "average", "worst", "printed"), DAFA_TABLE)
def test_rho_is_what_dafas_table_prints(method, kind, average, worst, printed):
    base_average, base_worst = TRADES[kind]
    found = rho(average, worst, base_average=base_average, base_worst=base_worst)
    assert round(found, 2) == printed


def test_the_spread_over_four_classes_is_that_of_a_calculation_by_hand():
    found = spread(np.array([1, 2, 3, 6]), np.array([10, 10, 10, 30]))
    # errors .1 .2 .3 .2: mean .2, squared deviations .01 0 .01 0, so sd = sqrt(.005)
    assert found.average == 12 / 60
    assert (found.worst, found.worst_class) == (0.3, 2)
    assert found.gap == pytest.approx(0.2)
    assert found.sd == pytest.approx(0.005**0.5)
    assert found.nsd == pytest.approx(0.005**0.5 / 0.2)
    assert found.worst_tenth == 0.3


def test_errors_are_counted_sample_by_sample():
    label = np.array([0, 0, 0, 1, 1])
    clean = np.array([0, 1, 1, 1, 1])
    attacked = np.array([1, 1, 0, 1, 0])  # of the third image the attack mends a mistake
    found = errors_by_class(label, clean, attacked, num_classes=3)
    assert {name: counts.tolist() for name, counts in found.items()} == {
        "natural_error": [2, 0, 0],
        "boundary_error": [1, 1, 0],
        "robust_error": [2, 1, 0],
    }


def test_each_error_counts_a_sample_as_its_definition_says():
    rng = np.random.default_rng(3)
    label, clean, attacked = rng.integers(0, 3, (3, 60))
    found = errors_of(label, clean, attacked)
    assert list(found) == list(ERRORS)
    for index, (true, said, said_under_attack) in enumerate(
        zip(label.tolist(), clean.tolist(), attacked.tolist(), strict=True)
    ):
        assert found["natural_error"][index] == (said != true)
        assert found["boundary_error"][index] == (said == true and said_under_attack != true)
        assert found["robust_error"][index] == (said_under_attack != true)


def test_an_evaluation_counts_errors_as_statistics_do():
    rng = np.random.default_rng(4)
    label, clean, attacked = rng.integers(0, 4, (3, 50))
    said, marks = Outcomes(label, clean, attacked), errors_of(label, clean, attacked)
    assert (said.natural == marks["natural_error"]).all()
    assert (said.robust == marks["robust_error"]).all()
    counted = count_by_class(said, 4)
    assert counted.natural.tolist() == np.bincount(label[said.natural], minlength=4).tolist()


def test_the_average_is_over_samples_and_not_over_classes():
    found = spread(np.array([1, 30]), np.array([10, 50]))
    assert found.average == 31 / 60  # over classes it would be 0.35
    assert found.nsd == pytest.approx(0.25 / 0.35)


def test_of_equally_bad_classes_the_first_that_has_samples_is_the_worst():
    found = spread(np.array([0, 1, 6, 3, 2]), np.array([0, 10, 20, 10, 10]))
    assert (found.worst, found.worst_class) == (0.3, 2)


def test_nsd_is_the_coefficient_of_variation():
    wrong = np.array([5, 9, 14, 2])
    assert spread(wrong, np.full(4, 20)).nsd == pytest.approx(stats.variation(wrong / 20))


def test_the_worst_tenth_of_a_hundred_classes_are_ten():
    wrong = np.random.default_rng(0).permutation(100)
    assert spread(wrong, np.full(100, 100)).worst_tenth == pytest.approx(
        np.mean(range(90, 100)) / 100
    )


@pytest.mark.parametrize(("num_classes", "tenth"), [(1, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_the_worst_tenth_is_rounded_up_to_whole_classes(num_classes, tenth):
    wrong = np.arange(num_classes) ** 2 % 97
    worst = sorted(wrong / 97)[-tenth:]
    assert spread(wrong, np.full(num_classes, 97)).worst_tenth == pytest.approx(np.mean(worst))


def test_a_class_without_samples_is_no_class():
    found = spread(np.array([0, 3, 1]), np.array([0, 4, 4]))
    assert found == Spread(
        average=0.5, worst=0.75, worst_class=1, worst_tenth=0.75, gap=0.5, sd=0.25, nsd=0.5
    )
    with pytest.raises(ValueError, match="no class has a sample"):
        spread(np.zeros(3, dtype=int), np.zeros(3, dtype=int))


def test_without_errors_nothing_is_spread():
    assert spread(np.zeros(3, dtype=int), np.full(3, 7)).nsd == 0


labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@settings(deadline=None)
@given(labels)
def test_the_confusion_matrix_is_scikit_learns(pairs):
    label, said = np.array(pairs).T
    expected = confusion_matrix(label, said, labels=range(5))
    assert confusion(label, said, 5).tolist() == expected.tolist()


@settings(deadline=None)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_is_scipys(counted):
    wrong, n = counted
    expected = stats.binomtest(wrong, n).proportion_ci(method="wilson")
    low, high = wilson(np.array([wrong / n]), np.array([n]))
    assert low[0] == pytest.approx(expected.low, abs=1e-9)
    assert high[0] == pytest.approx(expected.high, abs=1e-9)


def test_of_no_samples_nothing_is_known():
    low, high = wilson([np.nan, 0.5], [10, 0])
    assert np.isnan(low[0])
    assert (low[1], high[1]) == (0, 1)


def test_students_interval_is_scipys():
    values = [0.31, 0.34, 0.29, 0.36, 0.33]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert t_interval(values, 0.9) == pytest.approx((expected.low, expected.high))


def test_fewer_than_three_seeds_have_no_interval_and_equal_seeds_have_a_point():
    assert np.isnan([*t_interval([]), *t_interval([0.3]), *t_interval([0.3, 0.4])]).all()
    assert t_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), min_size=1))
def test_mcnemar_is_statsmodels_of_each_class(rows):
    label, wrong, other = (np.array(column) for column in zip(*rows, strict=True))
    found = mcnemar(label, wrong, other, num_classes=3)
    for index in range(3):
        mine = label == index
        table = [
            [np.sum(wrong[mine] & other[mine]), np.sum(wrong[mine] & ~other[mine])],
            [np.sum(~wrong[mine] & other[mine]), np.sum(~wrong[mine] & ~other[mine])],
        ]
        assert found[index] == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)


@pytest.mark.parametrize("num_tests", [1, 2, 3, 10, 100])
def test_holms_correction_is_statsmodels(num_tests):
    p_values = np.random.default_rng(num_tests).beta(0.2, 1, num_tests).round(3)  # ties and zeros
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_statistics_need_no_torch():
    code = "import sys, engine.evaluation.statistics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
