"""Fronts of two errors, and the bootstrap over seeds and images, against brute force."""

import numpy as np
import pytest

from engine.evaluation.bootstrap import drawn_images, drawn_seeds, errors_in, interval
from engine.evaluation.fronts import at, attained, hypervolume

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("number", [1, 2, 7, 40])
def test_the_front_is_every_point_that_no_other_dominates(number):
    points = RNG.integers(0, 9, size=(number, 2)) / 10
    by_hand = {
        tuple(p)
        for p in points.tolist()
        if not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points.tolist())
    }
    front = attained(points)
    assert {tuple(p) for p in front.tolist()} == by_hand
    assert (np.diff(front[:, 0]) > 0).all()
    assert (np.diff(front[:, 1]) < 0).all()


def test_a_point_without_a_number_is_on_no_front():
    assert attained([[np.nan, 0.1], [0.2, np.nan], [0.3, 0.3]]).tolist() == [[0.3, 0.3]]
    assert attained(np.empty((0, 2))).tolist() == []


def test_between_settings_a_front_is_straight_beyond_the_last_level_and_before_the_first_nothing():
    front = attained([[0.1, 0.8], [0.3, 0.4], [0.2, 0.9]])
    found = at(front, [0.05, 0.1, 0.2, 0.3, 0.9])
    assert np.isnan(found[0])
    assert found[1:] == pytest.approx([0.8, 0.6, 0.4, 0.4])
    assert np.isnan(at(attained(np.empty((0, 2))), [0.5])).all()


def test_the_hypervolume_is_the_share_of_random_points_that_are_dominated():
    front = attained(RNG.uniform(size=(6, 2)))
    anywhere = RNG.uniform(size=(200_000, 2))
    dominated = (front[None] <= anywhere[:, None]).all(axis=2).any(axis=1)
    assert hypervolume(front) == pytest.approx(dominated.mean(), abs=0.004)
    assert hypervolume(attained(np.empty((0, 2)))) == 0
    assert hypervolume(attained([[0.0, 0.0]])) == 1


# -- the bootstrap


def test_every_draw_keeps_the_size_of_every_class():
    label = np.array([0] * 5 + [2] * 3)
    draws = drawn_images(label, 4, times=50, rng=np.random.default_rng(1))
    assert draws.shape == (8, 50)
    assert (draws[:5].sum(axis=0) == 5).all()
    assert (draws[5:].sum(axis=0) == 3).all()
    assert len(np.unique(draws, axis=1).T) > 20


def test_errors_of_a_draw_are_those_of_the_images_written_out():
    label = RNG.integers(0, 3, size=60)
    wrong = RNG.uniform(size=(4, 60)) < 0.4
    draws = drawn_images(label, 3, times=9, rng=np.random.default_rng(2))
    found = errors_in(draws, label, wrong, num_classes=3)
    for b in range(9):
        images = np.repeat(np.arange(60), draws[:, b].astype(int))
        for run in range(4):
            drawn = wrong[run, images]
            by_class = [drawn[label[images] == c].mean() for c in range(3)]
            assert found.average[run, b] == pytest.approx(drawn.mean())
            assert found.worst[run, b] == pytest.approx(max(by_class))


def test_the_spread_over_draws_is_that_of_a_share():
    label = np.zeros(400, dtype=np.int64)
    wrong = np.arange(400)[None] < 100
    draws = drawn_images(label, 1, times=4000, rng=np.random.default_rng(3))
    average = errors_in(draws, label, wrong, num_classes=1).average[0]
    assert average.std() == pytest.approx(np.sqrt(0.25 * 0.75 / 400), rel=0.05)
    low, high = interval(average)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 * 0.75 / 400), rel=0.06)


def test_seeds_are_drawn_with_replacement():
    seeds = drawn_seeds(3, times=2000, rng=np.random.default_rng(4))
    assert seeds.shape == (2000, 3)
    assert set(seeds.ravel().tolist()) == {0, 1, 2}
    all_apart = np.mean([len(set(row)) == 3 for row in seeds.tolist()])
    assert all_apart == pytest.approx(6 / 27, abs=0.03)


def test_draws_that_mostly_have_no_number_make_no_interval():
    assert interval([0.1, 0.2, 0.3]) == pytest.approx(
        tuple(np.quantile([0.1, 0.2, 0.3], [0.025, 0.975]))
    )
    assert np.isnan(interval([np.nan, np.nan, 0.3])).all()
    assert interval([np.nan, 0.3, 0.3]) == (0.3, 0.3)
