"""Two Gaussian classes, a linear classifier, and the errors that it makes on them.

The setting of Xu et al. (ICML 2021): x = y theta + sigma_y xi with xi ~ N(0, I_d), theta = eta 1,
sigma_- = sigma and sigma_+ = K sigma, so class + is the harder one; f(x) = sign(w.x + b), attacked
within an l-inf ball. Equation numbers are those of docs/theory.md.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, TypeVar

from pydantic import Field, ValidationInfo, field_validator

from engine.config import Section
from engine.empty import Empty
from engine.evaluation.error_names import BOUNDARY_ERROR, NATURAL_ERROR, ROBUST_ERROR

Loss = Literal["zero-one", "logistic"]
NumberT = TypeVar("NumberT", float, None, float | None)


class Setting(Section):
    """One question to the theory: the data, how the classifier is trained, how it is attacked.

    Bounds are signed: an adversary of size e has bound +e, an anti-adversary -e.
    """

    dim: int = Field(20, ge=1, le=10_000, description="Dimension d of the data")
    eta: float = Field(
        0.3, gt=0, le=10, description="Half the distance between the classes, in each dimension"
    )
    sigma: float = Field(
        1.0, ge=0.01, le=100, description="Standard deviation of the easy class (-)"
    )
    k: float = Field(
        2.0, ge=1, le=100, description="K, the standard deviation of the hard class (+) over sigma"
    )
    prior_ratio: float = Field(
        1.0, ge=1e-4, le=1e4, description="Prior of the hard class (+) over that of the easy one"
    )
    epsilon: float = Field(0.1, ge=0, le=10, description="Radius of the attack at test time")
    rho_plus: float = Field(
        0.0, ge=-10, le=10, description="Training bound of the hard class (+); below 0 is anti"
    )
    rho_minus: float = Field(
        0.0, ge=-10, le=10, description="Training bound of the easy class (-); below 0 is anti"
    )
    loss: Loss = Field(
        "zero-one", description="Training loss: zero-one (closed form) or logistic (quadrature)"
    )
    noise_plus: float = Field(
        0.0, ge=0, lt=0.5, description="Share of the hard class (+) whose label is wrong"
    )
    noise_minus: float = Field(
        0.0, ge=0, lt=0.5, description="Share of the easy class (-) whose label is wrong"
    )
    rho_flipped_plus: Annotated[float | None, Empty("the bound of their label")] = Field(
        None,
        ge=-10,
        le=10,
        description="Training bound of samples of class + that are labelled -",
    )
    rho_flipped_minus: Annotated[float | None, Empty("the bound of their label")] = Field(
        None,
        ge=-10,
        le=10,
        description="Training bound of samples of class - that are labelled +",
    )

    @field_validator("epsilon", "rho_plus", "rho_minus", "rho_flipped_plus", "rho_flipped_minus")
    @classmethod
    def _within_eta(cls, value: NumberT, info: ValidationInfo) -> NumberT:
        """Beyond eta the attack passes the other class's centre, and w ~ 1 is no optimum."""
        eta = info.data.get("eta")
        if value is not None and eta is not None and value > eta:
            raise ValueError(f"{value:g} is above eta; allowed: at most eta = {eta:g}")
        return value

    @field_validator("noise_plus", "noise_minus", "rho_flipped_plus", "rho_flipped_minus")
    @classmethod
    def _noise_needs_a_smooth_loss(cls, value: NumberT, info: ValidationInfo) -> NumberT:
        if value and info.data.get("loss") == "zero-one":
            raise ValueError(f"{value:g} needs the logistic loss; set loss to logistic")
        return value

    @property
    def root_dim(self) -> float:
        """The l1 norm of w = 1/sqrt(d), whose l2 norm is 1."""
        return math.sqrt(self.dim)


class PerClass(NamedTuple):
    """One number for each class, as a share of 1 where it is an error."""

    plus: float
    minus: float

    @property
    def average(self) -> float:
        """The mean over the classes, which counts both alike whatever their priors."""
        return (self.plus + self.minus) / 2

    @property
    def gap(self) -> float:
        """How much more the hard class pays; below 0 the easy class does."""
        return self.plus - self.minus


@dataclass(frozen=True)
class Errors:
    """How often a classifier is wrong on each class.

    Attributes:
        natural_error: Wrong without an attack.
        robust_error: Wrong under attack, at the setting's epsilon.
    """

    natural_error: PerClass
    robust_error: PerClass

    @property
    def boundary_error(self) -> PerClass:
        """Right without an attack, wrong under it."""
        natural, robust = self.natural_error, self.robust_error
        return PerClass(robust.plus - natural.plus, robust.minus - natural.minus)

    def by_name(self) -> dict[str, PerClass]:
        """Return the three errors under their names; natural and boundary add up to robust."""
        return {
            NATURAL_ERROR: self.natural_error,
            BOUNDARY_ERROR: self.boundary_error,
            ROBUST_ERROR: self.robust_error,
        }


@dataclass(frozen=True)
class Solution(Errors):
    """A trained classifier sign(w.x + b) with w = 1/sqrt(d), and its errors.

    Attributes:
        b: Where its boundary stands; +inf or -inf where every sample gets one label.
    """

    b: float


def shares(prior_ratio: float) -> PerClass:
    """Return the priors (pi_+, pi_-) whose ratio is given."""
    return PerClass(prior_ratio / (1 + prior_ratio), 1 / (1 + prior_ratio))


def error_rates(setting: Setting, b: float, rho: PerClass) -> PerClass:
    """Return how often each class is wrong when its samples are moved by its signed bound.

    Equation (1) at w = 1/sqrt(d): Phi(-(sqrt(d) (eta - rho_y) + y b) / sigma_y).
    """
    from scipy.special import ndtr

    plus = setting.root_dim * (setting.eta - rho.plus) + b
    minus = setting.root_dim * (setting.eta - rho.minus) - b
    return PerClass(
        float(ndtr(-plus / (setting.k * setting.sigma))), float(ndtr(-minus / setting.sigma))
    )


def solution_at(setting: Setting, b: float) -> Solution:
    """Return the classifier with a boundary, and its natural and robust errors."""
    return Solution(
        error_rates(setting, b, PerClass(0.0, 0.0)),
        error_rates(setting, b, PerClass(setting.epsilon, setting.epsilon)),
        b,
    )


def fair_boundary(setting: Setting, epsilon: float = 0.0) -> float:
    """Return the b at which both classes have the same error under an attack of this radius.

    Equation (5): sqrt(d) (eta - epsilon) (K - 1) / (K + 1).
    """
    return setting.root_dim * (setting.eta - epsilon) * (setting.k - 1) / (setting.k + 1)
