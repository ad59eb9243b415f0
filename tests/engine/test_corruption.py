import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from engine.data.config import DataConfig
from engine.data.corruption import imbalanced_counts, noisy_labels, transition_matrix
from engine.data.datasets.base import DATASETS, Dataset

KINDS = ["uniform", "flip1", "flip2", "pair"]


def matrix_of(kind: str, ratio: float, num_classes: int, seed: int = 0):
    return transition_matrix(kind, ratio, num_classes, rng=np.random.default_rng(seed))


@given(st.sampled_from(KINDS), st.floats(0, 0.99), st.integers(3, 30), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_every_row_of_a_transition_matrix_is_a_distribution(kind, ratio, num_classes, seed):
    matrix = matrix_of(kind, ratio, num_classes, seed)
    assert matrix.shape == (num_classes, num_classes)
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1)


def test_uniform_noise_redraws_a_label_among_all_classes():
    matrix = matrix_of("uniform", 0.4, 5)
    for i in range(5):
        for j in range(5):
            assert matrix[i, j] == pytest.approx(0.6 * (i == j) + 0.4 / 5)


def test_pair_noise_goes_to_the_next_class():
    matrix = matrix_of("pair", 0.3, 4)
    for i in range(4):
        for j in range(4):
            expected = 0.7 if i == j else 0.3 if j == (i + 1) % 4 else 0.0
            assert matrix[i, j] == pytest.approx(expected)


@pytest.mark.parametrize(("kind", "num_targets"), [("flip1", 1), ("flip2", 2)])
@pytest.mark.parametrize("seed", range(5))
def test_flips_go_to_so_many_other_classes(kind, num_targets, seed):
    matrix = matrix_of(kind, 0.3, 8, seed)
    for i in range(8):
        assert matrix[i, i] == pytest.approx(0.7)
        others = np.delete(matrix[i], i)
        assert others[others > 0].tolist() == pytest.approx([0.3 / num_targets] * num_targets)


@pytest.mark.parametrize("kind", KINDS)
def test_observed_flips_agree_with_the_matrix(kind):
    labels = np.repeat(np.arange(6), 4000)
    matrix = matrix_of(kind, 0.3, 6)
    noisy = noisy_labels(labels, matrix, 11)
    for i in range(6):
        for j in range(6):
            seen = int((noisy[labels == i] == j).sum())
            if matrix[i, j] == 0:
                assert seen == 0
            else:
                assert binomtest(seen, 4000, min(matrix[i, j], 1)).pvalue > 1e-5


def test_labels_are_drawn_by_inverting_each_row():
    labels = np.array([2, 0, 1, 1, 2, 0, 0])
    matrix = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.9, 0.0, 0.1]])
    draws = np.random.default_rng(3).random(7)
    expected = []
    for label, draw in zip(labels, draws, strict=True):
        given_label, edge = 0, matrix[label, 0]
        while draw >= edge:
            given_label += 1
            edge += matrix[label, given_label]
        expected.append(given_label)
    before = labels.copy()
    assert noisy_labels(labels, matrix, 3).tolist() == expected
    assert np.array_equal(labels, before)


def test_a_draw_on_an_edge_belongs_to_the_class_above_it(monkeypatch):
    class Edges:
        def random(self, n):
            return np.array([0.0, 0.25, 0.75])[:n]

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Edges())
    matrix = np.array([[0.0, 0.25, 0.5, 0.25]] * 4)
    assert noisy_labels(np.array([0, 0, 0]), matrix, 0).tolist() == [1, 2, 3]


def test_no_noise_changes_no_label():
    labels = np.random.default_rng(0).integers(0, 10, 500)
    for kind in KINDS:
        assert np.array_equal(noisy_labels(labels, matrix_of(kind, 0.0, 10), 1), labels)


def test_noise_is_decided_by_its_seed():
    labels = np.random.default_rng(0).integers(0, 10, 500)
    matrix = matrix_of("uniform", 0.5, 10)
    assert np.array_equal(noisy_labels(labels, matrix, 1), noisy_labels(labels, matrix, 1))
    assert not np.array_equal(noisy_labels(labels, matrix, 1), noisy_labels(labels, matrix, 2))
    assert np.array_equal(matrix_of("flip2", 0.5, 10, 4), matrix_of("flip2", 0.5, 10, 4))
    assert not np.array_equal(matrix_of("flip2", 0.5, 10, 4), matrix_of("flip2", 0.5, 10, 5))


def test_a_factor_of_ten_leaves_exactly_ten_of_a_hundred():
    counts = imbalanced_counts(np.full(10, 100), 10.0)
    assert counts[0] == 100
    assert counts[-1] == 10
    assert counts.tolist() == [100, 77, 59, 46, 35, 27, 21, 16, 12, 10]


def test_rounding_takes_no_sample_from_a_class():
    # In floats 243 ** (2 / 5) is a little above 9, and 2430 over it a little below 270.
    counts = imbalanced_counts(np.full(6, 2430), 243.0)
    assert counts.tolist() == [2430, 810, 270, 90, 30, 10]


@given(
    st.integers(2, 20),
    st.integers(1, 6000),
    st.sampled_from([2, 5, 10, 50, 100]),
    st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_imbalance_falls_exponentially_and_empties_no_class(num_classes, n, factor, extra):
    available = np.full(num_classes, n + extra)
    available[-1] = n
    counts = imbalanced_counts(available, float(factor))
    for c in range(num_classes):
        exact = n / factor ** (c / (num_classes - 1))
        assert counts[c] == max(int(exact + 1e-6), 1)


def test_dealt_imbalance_has_the_same_sizes_in_another_order():
    available = np.full(10, 470)
    plain = imbalanced_counts(available, 50.0)
    dealt = imbalanced_counts(available, 50.0, np.random.default_rng(1))
    assert sorted(plain) == sorted(dealt)
    assert plain.tolist() != dealt.tolist()


def test_the_released_codes_imbalanced_sizes():
    totals = {
        f: int(imbalanced_counts(np.full(10, 4700), float(f)).sum()) for f in (1, 10, 50, 100)
    }
    assert totals == {1: 47_000, 10: 19_206, 50: 13_157, 100: 11_661}


def test_flips_need_enough_classes(monkeypatch):
    with pytest.raises(ValueError, match="flip2 noise needs more than 2 classes"):
        matrix_of("flip2", 0.2, 2)
    with pytest.raises(ValueError, match="flip1 noise needs more than 1 class"):
        matrix_of("flip1", 0.2, 1)
    assert matrix_of("flip1", 0.2, 2).tolist() == [[0.8, 0.2], [0.2, 0.8]]


class Coins(Dataset):
    name, title, class_names = "coins", "Coins", ("heads", "tails")
    channels = size = held_out_per_class = 1
    train_counts = test_counts = (50, 50)

    def load(self, folder):
        raise NotImplementedError


def test_a_scenario_with_two_classes_refuses_flip2(monkeypatch):
    monkeypatch.setattr(DATASETS, "all", lambda: {"coins": Coins()})
    DataConfig(dataset="coins", noise={"kind": "flip1", "ratio": 0.2})
    with pytest.raises(ValueError, match="flip2 noise needs more than 2 classes, not 2"):
        DataConfig(dataset="coins", noise={"kind": "flip2", "ratio": 0.2})
