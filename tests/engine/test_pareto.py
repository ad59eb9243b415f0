import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.comparison import pareto_front

# A small grid of values, so that ties are many.
POINTS = st.lists(st.tuples(*[st.integers(0, 6).map(float)] * 2), min_size=1, max_size=30)


def front_by_sorting(points):
    """In descending order of the first quantity, what raises the best second one so far."""
    best, front = -np.inf, set()
    for point in sorted(set(points), key=lambda point: (-point[0], -point[1])):
        if point[1] > best:
            best = point[1]
            front.add(point)
    return [point in front for point in points]


@given(POINTS)
def test_the_front_is_the_one_that_a_sweep_finds(points):
    assert pareto_front(points).tolist() == front_by_sorting(points)


@given(POINTS)
def test_every_point_off_the_front_is_dominated_by_one_on_it(points):
    on = pareto_front(points)
    assert on.any()
    front = np.array(points)[on]
    for point in np.array(points)[~on]:
        assert ((front >= point).all(axis=1) & (front > point).any(axis=1)).any()


@given(POINTS, st.randoms())
def test_neither_order_nor_a_rising_scale_changes_the_front(points, random):
    order = list(range(len(points)))
    random.shuffle(order)
    on = pareto_front(points)
    moved = [(np.exp(points[place][0]), 3 * points[place][1]) for place in order]
    assert pareto_front(moved).tolist() == on[order].tolist()


@given(POINTS, st.integers(0, 29))
def test_without_a_dominated_point_the_front_stays(points, place):
    on = pareto_front(points)
    if place < len(points) and not on[place]:
        kept = [point for index, point in enumerate(points) if index != place]
        assert pareto_front(kept).tolist() == np.delete(on, place).tolist()


def test_a_point_without_a_number_is_not_on_the_front():
    assert pareto_front([(0.9, np.nan), (0.5, 0.5)]).tolist() == [False, True]


@pytest.mark.parametrize("num_quantities", [1, 3])
def test_any_number_of_quantities_is_compared(num_quantities):
    points = np.eye(3)[:, :num_quantities]
    expected = [True, False, False] if num_quantities == 1 else [True] * 3
    assert pareto_front(points).tolist() == expected
