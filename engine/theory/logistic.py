"""Label noise in the Gaussian mixture: the logistic loss, by Gauss-Hermite quadrature.

With the 0-1 loss an anti-adversary on a flipped sample can hurt, as it moves the sample to where
that loss changes most; with the logistic loss it lowers the sample's pull. Training knows which
labels are flipped (an oracle): each true class, flipped or not, has a signed bound of its own.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_expit, roots_hermitenorm

from engine.theory.mixture import Setting, shares

Array = npt.NDArray[np.float64]

NUM_NODES = 400
"""The loss is then right to 2e-6 of itself where the classes stand five standard deviations from
the boundary, and to 1e-4 at ten (against adaptive quadrature)."""


class Groups(NamedTuple):
    """The four groups, true class by given label, each entry (4,)."""

    weight: Array
    true: Array
    given: Array
    sigma: Array
    rho: Array


def groups_of(setting: Setting) -> Groups:
    """Return the groups in the order ++, +-, --, -+ (true class, given label)."""
    prior = shares(setting.prior_ratio)
    p, q = setting.noise_plus, setting.noise_minus
    flipped_plus, flipped_minus = setting.rho_flipped_plus, setting.rho_flipped_minus
    spread = setting.sigma * np.array([setting.k, setting.k, 1.0, 1.0])
    return Groups(
        weight=np.array(
            [prior.plus * (1 - p), prior.plus * p, prior.minus * (1 - q), prior.minus * q]
        ),
        true=np.array([1.0, 1.0, -1.0, -1.0]),
        given=np.array([1.0, -1.0, -1.0, 1.0]),
        sigma=spread,
        rho=np.array(
            [
                setting.rho_plus,
                setting.rho_minus if flipped_plus is None else flipped_plus,
                setting.rho_minus,
                setting.rho_plus if flipped_minus is None else flipped_minus,
            ]
        ),
    )


@cache
def _nodes() -> tuple[Array, Array]:
    """Return nodes and weights (NUM_NODES,) of an expectation over N(0, 1)."""
    nodes, weights = roots_hermitenorm(NUM_NODES)
    return nodes, weights / np.sqrt(2 * np.pi)


def logistic_boundary(setting: Setting) -> float:
    """Return b of w = 1/sqrt(d) that minimises the logistic loss over scale and offset.

    Equation (6): sum over groups of weight E log(1 + exp(-m)), where the classifier s w.x + c has
    the margin m = s (t g sqrt(d) eta - sqrt(d) rho + sigma_t z) + g c on true class t, given label
    g and z ~ N(0, 1). It is convex in (s, c); b = c / s, or an infinity where s = 0 is best.
    """
    groups = groups_of(setting)
    nodes, node_weights = _nodes()
    centre = setting.root_dim * (groups.true * groups.given * setting.eta - groups.rho)
    # In units of sigma, so that the scale to be found is of the order of 1.
    reach = (centre[:, None] + groups.sigma[:, None] * nodes).ravel() / setting.sigma
    features = np.stack([reach, np.repeat(groups.given, len(nodes))])
    weight = np.outer(groups.weight, node_weights).ravel()

    def loss(line: Array) -> float:
        return float(-weight @ log_expit(line @ features))

    def gradient(line: Array) -> Array:
        slope: Array = -features @ (weight * expit(-line @ features))
        return slope

    def curvature(line: Array) -> Array:
        margin = line @ features
        bend: Array = (features * (weight * expit(margin) * expit(-margin))) @ features.T
        return bend

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=gradient, hess=curvature, method="trust-exact",
        options={"gtol": 1e-12},
    )  # fmt: skip
    scale, offset = found.x
    if scale < 1e-9:  # s = 0 is best: the commoner given label wins everywhere
        return float(np.copysign(np.inf, groups.weight @ groups.given))
    return float(offset / scale * setting.sigma) + 0.0  # never -0
