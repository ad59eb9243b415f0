"""The theory lab's closed form against direct minimisation, published formulas and samples."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import norm

from engine.mistakes import error_lines
from engine.theory.mixture import PerClass, Setting, error_rates, fair_boundary, shares, solution_at
from engine.theory.solver import draw_errors, fair_bound, solve, standard_error, zero_one_loss

VECTORS = [
    # K, r, rho_+, rho_-, b, natural +, -, robust +, -
    (2, 1, 0, 0, -0.0108, 0.2529, 0.0881, 0.3293, 0.1827),
    (2, 1, 0.1, 0.1, -0.3178, 0.3043, 0.0485, 0.3865, 0.1127),
    (2, 1, 0.1, -0.1, 0.4364, 0.1870, 0.1827, 0.2529, 0.3235),
    (2, 1, -0.1, 0.1, -0.4580, 0.3293, 0.0360, 0.4136, 0.0881),
    (2, 0.1, 0, 0, -1.1089, 0.4537, 0.0071, 0.5427, 0.0226),
    (2, 0.1, 0.1, 0.1, -1.5770, 0.5468, 0.0018, 0.6336, 0.0067),
    (2, 0.1, 0.1, -0.1, -0.6617, 0.3669, 0.0226, 0.4537, 0.0598),
    (1, 0.1, 0, 0, -0.8581, 0.3144, 0.0139, 0.4855, 0.0398),
    (1, 0.1, 0.1, 0.1, -1.2872, 0.4783, 0.0043, 0.6528, 0.0146),
    (1, 0.1, 0.1, -0.1, -0.4109, 0.1760, 0.0398, 0.3144, 0.0959),
    (1, 0.1, 0.191882, -0.191882, 0, 0.0899, 0.0899, 0.1855, 0.1855),
]


@st.composite
def any_setting(draw: st.DrawFn, max_dim: int = 60) -> Setting:
    eta = draw(st.floats(0.05, 1))
    bound = st.floats(-eta, eta)
    return Setting(
        dim=draw(st.integers(1, max_dim)),
        eta=eta,
        sigma=draw(st.floats(0.3, 3)),
        k=draw(st.one_of(st.just(1.0), st.floats(1, 5))),
        prior_ratio=draw(st.floats(0.02, 50)),
        epsilon=draw(st.floats(0, eta)),
        rho_plus=draw(bound),
        rho_minus=draw(bound),
    )


@pytest.mark.parametrize("vector", VECTORS)
def test_the_closed_form_gives_every_known_vector_to_four_decimals(vector):
    k, r, rho_plus, rho_minus, *expected = vector
    found = solve(Setting(k=k, prior_ratio=r, rho_plus=rho_plus, rho_minus=rho_minus))
    numbers = [found.b, *found.natural_error, *found.robust_error]
    assert numbers == pytest.approx(expected, abs=6e-5)


@settings(max_examples=200, deadline=None)
@given(any_setting())
def test_no_boundary_has_a_smaller_loss_than_the_closed_form(setting):
    found = zero_one_loss(setting, solve(setting).b)
    edge = 10 * (setting.root_dim * setting.eta + setting.k * setting.sigma)
    grid = np.linspace(-edge, edge, 2001)
    losses = [zero_one_loss(setting, b) for b in grid]
    best = grid[int(np.argmin(losses))]
    step = grid[1] - grid[0]
    direct = minimize_scalar(
        lambda b: zero_one_loss(setting, b), bounds=(best - step, best + step), method="bounded"
    )
    assert found == pytest.approx(min(direct.fun, *shares(setting.prior_ratio)), abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(any_setting(max_dim=3), st.integers(0, 1000))
def test_no_direction_has_a_smaller_loss_than_the_diagonal(setting, seed):
    pi = shares(setting.prior_ratio)

    def loss(line):
        w, b = line[:-1], line[-1]
        l1, l2 = np.abs(w).sum(), max(float(np.linalg.norm(w)), 1e-300)
        plus = setting.eta * w.sum() + b - setting.rho_plus * l1
        minus = setting.eta * w.sum() - b - setting.rho_minus * l1
        sigma = setting.sigma
        return pi.plus * norm.cdf(-plus / (setting.k * sigma * l2)) + pi.minus * norm.cdf(
            -minus / (sigma * l2)
        )

    found = zero_one_loss(setting, solve(setting).b)
    starts = np.random.default_rng(seed).normal(size=(4, setting.dim + 1))
    for start in starts:
        assert minimize(loss, start, method="Nelder-Mead").fun >= found - 1e-7


@given(any_setting())
def test_for_equally_spread_classes_the_boundary_is_the_likelihood_ratio_s(setting):
    setting = setting.model_copy(update={"k": 1.0})
    plus, minus = (
        setting.root_dim * (setting.eta - rho) for rho in (setting.rho_plus, setting.rho_minus)
    )
    assume(plus + minus > 0.05)
    ratio = setting.sigma**2 * math.log(setting.prior_ratio) / (plus + minus)
    found = solve(setting).b
    assume(math.isfinite(found))
    assert found == pytest.approx((minus - plus) / 2 + ratio, abs=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(any_setting(), st.integers(0, 2**32 - 1))
def test_drawn_samples_agree_within_four_standard_errors(setting, seed):
    found = solve(setting)
    drawn = draw_errors(setting, found.b, 20_000, seed=seed)
    for name, exact in found.by_name().items():
        for share, counted in zip(exact, drawn.by_name()[name], strict=True):
            assert abs(counted - share) <= 4 * standard_error(share, drawn.n) + 4 / drawn.n


def test_the_same_seed_draws_the_same_samples_whatever_the_chunk(monkeypatch):
    setting = Setting()
    whole = draw_errors(setting, 0.1, 3000, seed=7)
    assert whole == draw_errors(setting, 0.1, 3000, seed=7)
    assert whole != draw_errors(setting, 0.1, 3000, seed=8)
    monkeypatch.setattr("engine.theory.solver.CHUNK", 700)
    assert whole == draw_errors(setting, 0.1, 3000, seed=7)


@given(any_setting())
def test_a_robust_error_is_the_natural_and_the_boundary_error(setting):
    found = solve(setting)
    for natural, boundary, robust in zip(*found.by_name().values(), strict=True):
        assert natural + boundary == pytest.approx(robust)
        assert boundary >= -1e-12


@given(any_setting())
def test_at_the_fair_boundary_both_classes_have_the_same_error(setting):
    natural = solution_at(setting, fair_boundary(setting)).natural_error
    robust = solution_at(setting, fair_boundary(setting, setting.epsilon)).robust_error
    assert natural.gap == pytest.approx(0, abs=1e-12)
    assert robust.gap == pytest.approx(0, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(any_setting(), st.sampled_from(["zero-one", "logistic"]))
def test_training_on_the_fair_bound_makes_the_classes_equal(setting, loss):
    setting = setting.model_copy(update={"loss": loss})
    rho = fair_bound(setting, setting.epsilon)
    assume(rho is not None)
    trained = solve(setting.model_copy(update={"rho_plus": rho, "rho_minus": -rho}))
    assert abs(rho) <= setting.eta
    assert trained.robust_error.gap == pytest.approx(0, abs=1e-6)


@given(st.floats(1, 1000), st.integers(1, 60), st.floats(0.1, 1), st.floats(0.3, 3))
def test_for_equally_spread_classes_the_fair_bound_is_the_published_formula(v, dim, eta, sigma):
    setting = Setting(k=1, prior_ratio=1 / v, dim=dim, eta=eta, sigma=sigma, epsilon=0)
    formula = sigma**2 * math.log(v) / (2 * dim * eta)
    assume(formula < 0.99 * eta)
    assert fair_bound(setting) == pytest.approx(formula, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(any_setting())
def test_where_natural_training_has_a_boundary_the_hard_class_pays_unless_k_times_as_common(
    setting,
):
    found = solve(setting.model_copy(update={"rho_plus": 0.0, "rho_minus": 0.0}))
    assume(math.isfinite(found.b) and abs(math.log(setting.prior_ratio / setting.k)) > 0.01)
    assume(abs(found.natural_error.gap) > 1e-9)
    assert (found.natural_error.gap > 0) == (setting.prior_ratio < setting.k)


@settings(max_examples=100, deadline=None)
@given(any_setting())
def test_a_larger_bound_moves_the_boundary_as_the_derivatives_say(setting):
    assume(setting.prior_ratio < setting.k and max(setting.rho_plus, setting.rho_minus) < 0.04)
    tilt = 2 * setting.sigma**2 * math.log(setting.k / setting.prior_ratio)
    spread = setting.dim * (2 * setting.eta - setting.rho_plus - setting.rho_minus) ** 2
    assume(abs(spread / tilt - 1) > 0.05)
    b, more_minus, more_plus = (
        solve(setting.model_copy(update=change)).b
        for change in (
            {},
            {"rho_minus": setting.rho_minus + 1e-6},
            {"rho_plus": setting.rho_plus + 1e-6},
        )
    )
    assume(all(map(math.isfinite, (b, more_minus, more_plus))))
    assert more_minus < b
    assert (more_plus > b) == (spread > tilt)


@pytest.mark.parametrize(
    ("setting", "b"),
    [
        (Setting(prior_ratio=50), math.inf),  # the root exists, one label is better
        (Setting(prior_ratio=10_000, eta=0.1), math.inf),  # no root
        (Setting(k=1, rho_plus=0.3, rho_minus=0.3, prior_ratio=5), math.inf),
        (Setting(k=1, rho_plus=0.3, rho_minus=0.3, prior_ratio=0.2), -math.inf),
        (
            Setting(k=1, rho_plus=0.3, rho_minus=0.3, prior_ratio=0.2, loss="logistic"),
            -math.inf,
        ),
    ],
)
def test_where_one_label_for_all_is_best_there_is_no_boundary(setting, b):
    found = solve(setting)
    assert found.b == b
    assert found.natural_error == found.robust_error == ((0, 1) if b > 0 else (1, 0))


def test_rates_are_those_of_moved_classes():
    setting = Setting(dim=4, eta=0.5, sigma=2, k=3)
    rates = error_rates(setting, 0.25, PerClass(0.1, -0.2))
    assert rates.plus == pytest.approx(norm.sf(2 * 0.4 + 0.25, scale=6))
    assert rates.minus == pytest.approx(norm.sf(2 * 0.7 - 0.25, scale=2))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"epsilon": 0.4}, "epsilon", "0.4 is above eta; allowed: at most eta = 0.3"),
        ({"rho_plus": 0.31}, "rho_plus", "0.31 is above eta; allowed: at most eta = 0.3"),
        ({"rho_minus": 0.5, "eta": 0.4}, "rho_minus", "at most eta = 0.4"),
        ({"loss": "logistic", "rho_flipped_plus": 0.4}, "rho_flipped_plus", "above eta"),
        ({"k": 0.9}, "k", "allowed: 1 to 100"),
        ({"prior_ratio": 0}, "prior_ratio", "allowed: 0.0001 to 10000.0"),
        ({"dim": 2.5}, "dim", "a whole number"),
        ({"eta": math.nan}, "eta", "more than 0"),
        ({"noise_plus": 0.3}, "noise_plus", "0.3 needs the logistic loss"),
        ({"loss": "logistic", "noise_minus": 0.5}, "noise_minus", "less than 0.5"),
        ({"loss": "hinge"}, "loss", "zero-one, logistic"),
    ],
)
def test_parameters_outside_the_theory_are_refused_in_one_line(changes, field, words):
    with pytest.raises(ValidationError) as refused:
        Setting(**changes)
    lines = error_lines(refused.value, Setting)
    assert list(lines) == [field]
    assert words in lines[field]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 10_000), st.floats(0.001, 10), st.floats(0.01, 100), st.floats(1, 100),
    st.floats(1e-4, 1e4), st.sampled_from(["zero-one", "logistic"]),
)  # fmt: skip
def test_every_allowed_setting_has_an_answer(dim, eta, sigma, k, prior_ratio, loss):
    setting = Setting(
        dim=dim, eta=eta, sigma=sigma, k=k, prior_ratio=prior_ratio, loss=loss, epsilon=0,
        rho_plus=eta, rho_minus=-10,
    )  # fmt: skip
    found = solve(setting)
    assert not math.isnan(found.b)
    assert all(0 <= share <= 1 for share in (*found.natural_error, *found.robust_error))
