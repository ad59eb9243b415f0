"""The theory lab with the logistic loss and wrong labels, against adaptive quadrature."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_expit
from scipy.stats import norm

from engine.theory.logistic import groups_of
from engine.theory.mixture import Setting, solution_at
from engine.theory.solver import solve

LOGISTIC = [
    # K, share of + labelled -, bound of right labels, of wrong labels, average natural, robust
    (1, 0.3, 0.0, 0.0, 0.178, 0.276),
    (1, 0.3, 0.1, 0.1, 0.244, 0.336),
    (1, 0.3, 0.1, -0.1, 0.162, 0.260),
    (1, 0.3, 0.0, -0.3, 0.119, 0.216),
    (1, 0.0, 0.0, 0.0, 0.090, 0.186),
    (2, 0.3, 0.1, 0.1, 0.327, 0.366),
    (2, 0.3, 0.1, -0.1, 0.269, 0.315),
]


@pytest.mark.parametrize("vector", LOGISTIC)
def test_the_logistic_loss_gives_every_known_average_to_three_decimals(vector):
    k, noise, right, wrong, natural, robust = vector
    found = solve(
        Setting(
            k=k, loss="logistic", noise_plus=noise, rho_plus=right, rho_minus=right,
            rho_flipped_plus=wrong, rho_flipped_minus=wrong,
        )
    )  # fmt: skip
    assert found.natural_error.average == pytest.approx(natural, abs=6e-4)
    assert found.robust_error.average == pytest.approx(robust, abs=6e-4)


NOISY = Setting(
    k=2, loss="logistic", noise_plus=0.3, noise_minus=0.1, rho_plus=0.1, rho_flipped_plus=-0.2,
    prior_ratio=0.4, sigma=0.7, dim=12,
)  # fmt: skip


def logistic_loss(setting, scale, offset):
    """The expected loss by adaptive quadrature, group by group."""
    groups = groups_of(setting)

    def of_group(weight, true, given_label, sigma, rho):
        mean = setting.root_dim * (true * given_label * setting.eta - rho) * scale
        mean += given_label * offset
        peak = -mean / (scale * sigma)
        points = sorted({-12.0, min(max(peak, -12.0), 12.0), 12.0})
        return weight * sum(
            quad(lambda z: -log_expit(mean + scale * sigma * z) * norm.pdf(z), low, high)[0]
            for low, high in pairwise(points)
        )

    return sum(of_group(*group) for group in zip(*groups, strict=True))


@pytest.mark.parametrize(
    "setting",
    [NOISY, Setting(loss="logistic"), Setting(loss="logistic", k=1, dim=60, prior_ratio=0.1)],
)
def test_the_logistic_boundary_minimises_the_loss_by_adaptive_quadrature(setting):
    direct = minimize(
        lambda line: logistic_loss(setting, *line), [1.0, 0.0], method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-12},
    )  # fmt: skip
    scale, offset = direct.x
    assert solve(setting).b == pytest.approx(offset / scale, abs=2e-4)


def test_no_direction_has_a_smaller_logistic_loss_than_the_diagonal():
    setting = NOISY.model_copy(update={"dim": 2, "eta": 1.0})
    groups = groups_of(setting)
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    weights = weights / weights.sum()

    def loss(line):
        w, c = line[:-1], line[-1]
        l1, l2 = np.abs(w).sum(), np.linalg.norm(w)
        centre = groups.true * groups.given * setting.eta * w.sum() - groups.rho * l1
        margin = (centre + groups.given * c)[:, None] + groups.sigma[:, None] * l2 * nodes
        return float(groups.weight @ (-log_expit(margin) @ weights))

    found = [minimize(loss, start, method="Nelder-Mead") for start in np.eye(3) - 0.3]
    best = min(found, key=lambda one: one.fun).x
    assert best[0] == pytest.approx(best[1], rel=1e-2)
    assert best[2] / best[0] / math.sqrt(2) == pytest.approx(solve(setting).b, abs=1e-2)


def zero_one_boundary_of_groups(setting):
    """The b that minimises the 0-1 loss over all four groups, wrong labels among them."""
    groups = groups_of(setting)
    centre = setting.root_dim * (groups.true * groups.given * setting.eta - groups.rho)

    def loss(b):
        return groups.weight @ norm.cdf(-(centre + groups.given * b) / groups.sigma)

    grid = np.linspace(-10, 10, 4001)
    best = grid[int(np.argmin([loss(b) for b in grid]))]
    options = {"xatol": 1e-10}
    return minimize_scalar(loss, bounds=(best - 0.01, best + 0.01), options=options).x


def test_with_the_zero_one_loss_noise_alone_is_another_prior_ratio():
    noisy = NOISY.model_copy(update={"rho_plus": 0.0, "rho_flipped_plus": 0.0})
    ratio = noisy.prior_ratio * (1 - 2 * noisy.noise_plus) / (1 - 2 * noisy.noise_minus)
    same = Setting(k=2, sigma=0.7, dim=12, prior_ratio=ratio)
    assert zero_one_boundary_of_groups(noisy) == pytest.approx(solve(same).b, abs=1e-6)


def test_with_the_zero_one_loss_an_anti_adversary_on_wrong_labels_can_hurt():
    noisy = Setting(k=1, loss="logistic", noise_plus=0.3)
    moved = noisy.model_copy(update={"rho_flipped_plus": -0.2})
    errors = [
        solution_at(setting, zero_one_boundary_of_groups(setting)).natural_error.average
        for setting in (noisy, moved)
    ]
    assert errors == pytest.approx([0.102, 0.115], abs=6e-4)


def test_with_equally_spread_classes_and_right_labels_both_losses_agree():
    for ratio in (0.1, 1.0, 3.0):
        one, other = (
            solve(Setting(k=1, prior_ratio=ratio, loss=loss)).b for loss in ("zero-one", "logistic")
        )
        assert one == pytest.approx(other, abs=1e-6)


def test_a_flipped_sample_is_trained_on_the_bound_of_its_label_unless_told():
    told = Setting(
        loss="logistic", noise_plus=0.2, noise_minus=0.1, rho_plus=0.1, rho_minus=-0.05,
        rho_flipped_plus=-0.05, rho_flipped_minus=0.1,
    )  # fmt: skip
    silent = told.model_copy(update={"rho_flipped_plus": None, "rho_flipped_minus": None})
    assert solve(told) == solve(silent)
