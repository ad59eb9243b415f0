import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from engine.mistakes import error_lines
from engine.perturbation.norms import BALLS, L2Ball, LinfBall, require_within
from engine.scenario import Scenario

ORDER = {"linf": math.inf, "l2": 2}


def lengths(x: torch.Tensor, norm: str) -> torch.Tensor:
    return torch.linalg.vector_norm(x.double(), ORDER[norm], dim=(1, 2, 3))


@settings(max_examples=80, deadline=None)
@given(
    bounds=st.lists(st.just(0.0) | st.floats(0, 8, width=32), min_size=1, max_size=4),
    far=st.sampled_from([1e-6, 0.1, 1.0, 1e6]),
    norm=st.sampled_from(["linf", "l2"]),
    seed=st.integers(0, 2**31),
)
def test_a_clipped_image_is_in_its_ball_and_in_0_to_1_at_once(bounds, far, norm, seed):
    rng = torch.Generator().manual_seed(seed)
    x = torch.rand(len(bounds), 2, 3, 3, generator=rng).mul(1.4).sub(0.2).clamp(0, 1)  # corners too
    epsilon = torch.tensor(bounds)
    clipped = BALLS[norm](x, epsilon).clip(x + far * torch.randn(x.shape, generator=rng))
    assert (clipped >= 0).all()
    assert (clipped <= 1).all()
    assert (lengths(clipped - x, norm) <= epsilon * (1 + 1e-6) + 1e-6).all()
    assert torch.equal(clipped[epsilon == 0], x[epsilon == 0])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_image_that_is_inside_already_stays_where_it_is(norm):
    x = torch.rand(5, 1, 3, 3)
    inside = x * 0.9 + 0.05
    ball = BALLS[norm](x, torch.full((5,), 4.0 if norm == "l2" else 1.0))
    torch.testing.assert_close(ball.clip(inside), inside)


def test_a_start_in_an_l2_ball_is_uniform_over_its_volume():
    rng = torch.Generator().manual_seed(0)
    x, epsilon = torch.full((4000, 1, 2, 2), 0.5), torch.full((4000,), 0.3)
    away = L2Ball(x, epsilon).draw(rng) - x
    volume = (lengths(away, "l2") / 0.3) ** 4  # of the ball up to each start, as a share
    assert stats.kstest(volume.numpy(), "uniform").pvalue > 0.01
    assert abs(away.mean().item()) < 4 * 0.3 / math.sqrt(6 * 16000)  # E[coordinate^2] = eps^2 / 6
    assert away.pow(2).mean().item() == pytest.approx(0.3**2 / 6, rel=0.05)


@pytest.mark.parametrize("size", [1e-37, 1e-30, 1e-12, 1.0, 1e18, 1e30])
def test_the_steepest_direction_has_length_1_whatever_the_size_of_the_gradient(size):
    torch.manual_seed(0)
    gradient = torch.randn(3, 2, 4, 4) * size
    expected = gradient.double() / lengths(gradient, "l2").view(-1, 1, 1, 1)
    found = L2Ball.steepest(gradient.clone())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(LinfBall.steepest(gradient.clone()), gradient.sign())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_sample_without_a_gradient_does_not_move_and_others_do(norm):
    gradient = torch.ones(2, 1, 2, 2)
    gradient[0] = 0
    move = BALLS[norm].steepest(gradient)
    assert (move[0] == 0).all()
    assert lengths(move, norm)[1].item() == pytest.approx(1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_gradient_that_is_one_number_for_a_whole_image_is_a_direction_too(norm):
    slope = torch.tensor([2.0, -3.0]).view(2, 1, 1, 1)
    move = BALLS[norm].steepest(slope.expand(2, 1, 2, 2))  # as a sum over the image gives it
    expected = slope.sign() * (1.0 if norm == "linf" else 0.5)
    torch.testing.assert_close(move, expected.expand(2, 1, 2, 2))


def errors_of(**tables):
    with pytest.raises(ValidationError) as caught:
        Scenario.model_validate(tables)
    return error_lines(caught.value, Scenario)


@pytest.mark.parametrize(
    ("tables", "path", "allowed"),
    [
        ({"threat": {"epsilon": 1.5}}, "threat.epsilon", "linf; allowed: 0 to 1"),
        ({"threat": {"step_size": 1.5}}, "threat.step_size", "linf; allowed: 0 to 1"),
        ({"evaluation": {"epsilon": 1.5}}, "evaluation.epsilon", "linf; allowed: 0 to 1"),
        ({"threat": {"norm": "l2", "epsilon": 8.5}}, "threat.epsilon", "l2; allowed: 0 to 8"),
        (
            {"threat": {"norm": "l2"}, "evaluation": {"step_size": 9}},
            "evaluation.step_size",
            "l2; allowed: 0 to 8",
        ),
        ({"threat": {"norm": "l1"}}, "threat.norm", "linf, l2"),
    ],
)
def test_a_distance_that_no_two_digits_are_apart_is_refused(tables, path, allowed):
    (line,) = [text for where, text in errors_of(**tables).items() if where == path]
    assert allowed in line


def test_an_l2_radius_may_be_above_1():
    threat = Scenario.model_validate({"threat": {"norm": "l2", "epsilon": 2}}).threat
    assert (threat.epsilon, threat.step) == (2.0, 0.5)


def test_the_widest_radius_is_allowed_to_the_last_digit():
    for norm, widest in (("linf", 1), ("l2", 8)):
        assert Scenario.model_validate({"threat": {"norm": norm, "epsilon": widest}})
        require_within(widest, norm, 64)
        with pytest.raises(ValueError, match=f"allowed: 0 to {widest}$"):
            require_within(math.nextafter(widest, 9), norm, 64)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_some_balls_taken_out_are_still_each_samples_own(norm):
    torch.manual_seed(0)
    x, epsilon = torch.rand(5, 1, 3, 3), torch.tensor([0.0, 0.3, 0.1, 0.2, 0.05])
    far, rows = torch.randn(5, 1, 3, 3), torch.tensor([3, 1])
    ball = BALLS[norm](x, epsilon)
    assert torch.equal(ball.take(rows).clip(far[rows]), ball.clip(far)[rows])
    assert torch.equal(ball.take(epsilon > 0.1).clip(far[[1, 3]]), ball.clip(far)[[1, 3]])
