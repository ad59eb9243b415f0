"""The theory lab: what signed bounds do to the boundary between two Gaussian classes.

Closed forms for the 0-1 loss, quadrature for the logistic loss, bounds that make the classes
equal, and the same errors counted by drawing samples. Equation numbers are those of
docs/theory.md; the setting is that of `engine.theory.mixture`.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from engine.theory.logistic import logistic_boundary
from engine.theory.mixture import (
    Errors,
    PerClass,
    Setting,
    Solution,
    error_rates,
    fair_boundary,
    shares,
    solution_at,
)

CHUNK = 1_000_000
"""Numbers drawn at a time, so that memory stays small in any dimension."""


def solve(setting: Setting) -> Solution:
    """Train on the setting's bounds and return the classifier with its errors."""
    if setting.loss == "logistic":
        return solution_at(setting, logistic_boundary(setting))
    return solution_at(setting, zero_one_boundary(setting))


def zero_one_boundary(setting: Setting) -> float:
    """Return the b that minimises the 0-1 loss on the moved classes.

    That is the root of equation (3); where there is none, or one label for all samples has the
    smaller loss (the smaller of the two priors), b is infinite.
    """
    prior = shares(setting.prior_ratio)
    b = stationary_boundary(setting)
    if b is not None and zero_one_loss(setting, b) <= min(prior):
        return b
    return math.inf if prior.plus >= prior.minus else -math.inf


def stationary_boundary(setting: Setting) -> float | None:
    """Return where the 0-1 loss has its local minimum, or None where it has none.

    Equation (3): with a_y = sqrt(d) (eta - rho_y), S = a_+ + a_- and r the prior ratio,

        b = (K^2 a_-^2 - a_+^2 - 2 K^2 sigma^2 ln(K/r)) / (a_+ + K^2 a_- + K Q),
        Q = sqrt(S^2 + 2 (K^2 - 1) sigma^2 ln(K/r)).

    For K > 1 the other root is the local maximum; for K = 1 there is but this one,
    (a_- - a_+)/2 + sigma^2 ln(r)/S.
    """
    k = setting.k
    plus = setting.root_dim * (setting.eta - setting.rho_plus)
    minus = setting.root_dim * (setting.eta - setting.rho_minus)
    tilt = 2 * setting.sigma**2 * math.log(k / setting.prior_ratio)
    under_root = (plus + minus) ** 2 + (k**2 - 1) * tilt
    if under_root < 0:
        return None
    below = plus + k**2 * minus + k * math.sqrt(under_root)
    if below == 0:
        return None
    return ((k * minus) ** 2 - plus**2 - k**2 * tilt) / below + 0.0  # never -0


def zero_one_loss(setting: Setting, b: float) -> float:
    """Return the training loss (2): each class's error on its moved samples, by its prior."""
    prior = shares(setting.prior_ratio)
    error = error_rates(setting, b, PerClass(setting.rho_plus, setting.rho_minus))
    return prior.plus * error.plus + prior.minus * error.minus


def fair_bound(setting: Setting, epsilon: float = 0.0) -> float | None:
    """Return the rho for which rho_+ = rho and rho_- = -rho make the classes' errors equal.

    An adversary on one class and an anti-adversary of the same size on the other leave S as it
    is, so with the 0-1 loss b moves by exactly sqrt(d) rho, equation (4); for K = 1 and imbalance
    1:V that is sigma^2 ln(V) / (2 d eta). With the logistic loss the bound is searched for.

    Args:
        setting: Its own bounds of the two classes are not used.
        epsilon: Radius of the attack under which the errors shall be equal.

    Returns:
        The bound, or None where no rho from -eta to eta does it.
    """
    eta, target = setting.eta, fair_boundary(setting, epsilon)

    def miss(rho: float) -> float:
        return solve(_opposite(setting, rho)).b - target

    if setting.loss == "logistic":
        if not miss(-eta) < 0 < miss(eta):
            return None
        return float(brentq(miss, -eta, eta, xtol=1e-9))
    b = stationary_boundary(_opposite(setting, 0.0))
    if b is None:
        return None
    rho = (target - b) / setting.root_dim
    return rho if abs(rho) <= eta and abs(miss(rho)) < 1e-6 else None


def _opposite(setting: Setting, rho: float) -> Setting:
    return setting.model_copy(update={"rho_plus": rho, "rho_minus": -rho})


@dataclass(frozen=True)
class Draw(Errors):
    """Errors counted over drawn samples.

    Attributes:
        n: Samples of each class.
    """

    n: int


def draw_errors(setting: Setting, b: float, num: int, *, seed: int) -> Draw:
    """Draw samples x (num, d) of each class and count the errors of sign(w.x + b), w = 1/sqrt(d).

    With score s = w.x + b, natural errors are y s <= 0 and robust errors y s <= epsilon |w|_1.
    """
    rng = np.random.default_rng(seed)
    w = np.full(setting.dim, 1 / setting.root_dim)
    reach = setting.epsilon * np.abs(w).sum()
    natural, robust = [], []
    for y, sigma in ((1, setting.k * setting.sigma), (-1, setting.sigma)):
        wrong = attacked = 0
        for start in range(0, num, max(CHUNK // setting.dim, 1)):
            rows = min(num - start, max(CHUNK // setting.dim, 1))
            x = y * setting.eta + sigma * rng.standard_normal((rows, setting.dim))
            margin = y * (x @ w + b)
            wrong += int((margin <= 0).sum())
            attacked += int((margin <= reach).sum())
        natural.append(wrong / num)
        robust.append(attacked / num)
    return Draw(PerClass(*natural), PerClass(*robust), num)


def standard_error(share: float, n: int) -> float:
    """Return the standard deviation of a share that is counted over n samples."""
    return math.sqrt(share * (1 - share) / n)
