import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evaluation.class_errors import ClassErrors
from engine.meta.multipliers import ClassMultipliers, class_weights

shares = st.lists(st.floats(0, 1, width=32), min_size=10, max_size=10).map(torch.tensor)


def new(num_classes: int = 10, **changes) -> ClassMultipliers:
    knobs = {"slack": 0.07, "rate": 0.05, "bound_rate": 0.2, "limit": 0.5}
    return ClassMultipliers(num_classes, **(knobs | changes))


def limited(values: list[float], limit: float) -> list[float]:
    values = [max(value, 0.0) for value in values]
    total = sum(values)
    return [limit * value / total for value in values] if total > limit else values


def written_out(natural, boundary, l0, l1, l2):
    """Update three lists of multipliers by plain loops over the classes."""
    mean0, mean1 = sum(natural) / 10, sum(boundary) / 10
    g0 = [error - mean0 - 0.07 for error in natural]
    g1 = [error - mean1 - 0.07 for error in boundary]
    return (
        limited([a + 0.05 * g for a, g in zip(l0, g0, strict=True)], 0.5),
        limited([a + 2 * 0.05 * g for a, g in zip(l1, g1, strict=True)], 0.5),
        [a + 0.2 * g for a, g in zip(l2, g1, strict=True)],
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=30))
def test_the_multipliers_follow_the_update_written_out(epochs):
    multipliers = new()
    l0 = l1 = l2 = [0.0] * 10
    for natural, boundary in epochs:
        multipliers.update(ClassErrors(natural, boundary))
        l0, l1, l2 = written_out(natural.tolist(), boundary.tolist(), l0, l1, l2)
    assert multipliers.natural.tolist() == pytest.approx(l0, abs=1e-5)
    assert multipliers.boundary.tolist() == pytest.approx(l1, abs=1e-5)
    assert multipliers.margin.tolist() == pytest.approx(l2, abs=1e-5)


def test_the_class_weights_are_the_papers_double_loop():
    multipliers = torch.rand(7, dtype=torch.float64)
    expected = [1 / 7] * 7
    for c in range(7):
        for j in range(7):
            share = multipliers[j].item()
            expected[c] += share * (6 / 7) if c == j else -share / 7
    assert class_weights(multipliers).tolist() == pytest.approx(expected)
    assert class_weights(multipliers).sum().item() == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=60))
def test_with_ten_classes_and_limit_one_half_every_weight_lies_in_005_to_055(epochs):
    multipliers = new()
    for natural, boundary in epochs:
        multipliers.update(ClassErrors(natural, boundary))
    for weights in (multipliers.natural_weights(), multipliers.boundary_weights()):
        assert weights.min() >= 0.05 - 1e-6
        assert weights.max() <= 0.55 + 1e-6


def test_one_hard_class_reaches_the_largest_weight():
    multipliers = new()
    errors = torch.zeros(10)
    errors[3] = 1.0
    for _ in range(50):
        multipliers.update(ClassErrors(errors, errors))
    assert multipliers.natural_weights()[3].item() == pytest.approx(0.55, abs=1e-5)
    assert multipliers.natural_weights()[0].item() == pytest.approx(0.05, abs=1e-5)


def test_equal_classes_keep_equal_weights_and_narrow_no_ball_below_its_limit():
    multipliers = new()
    for _ in range(20):
        multipliers.update(ClassErrors(torch.full((10,), 0.4), torch.full((10,), 0.3)))
    torch.testing.assert_close(multipliers.natural_weights(), torch.full((10,), 0.1))
    torch.testing.assert_close(multipliers.bound_factors(0.98, 2.5), torch.full((10,), 0.98))


def test_bound_factors_are_clipped_exponentials():
    multipliers = new(4)
    multipliers.margin = torch.tensor([-5.0, 0.0, 0.1, 5.0])
    expected = torch.tensor([0.98, 1.0, math.exp(0.2), 2.5])
    torch.testing.assert_close(multipliers.bound_factors(0.98, 2.5), expected)


def test_the_state_goes_round():
    multipliers, other = new(), new()
    multipliers.update(ClassErrors(torch.rand(10), torch.rand(10)))
    other.load_state(multipliers.state())
    for name, value in multipliers.state().items():
        assert torch.equal(value, other.state()[name])
