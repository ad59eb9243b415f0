"""Ways to train on the same data, side by side, and what can be said of them in numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from app.text.format import percent, points
from app.theory.words import EVEN, place
from engine.theory.mixture import PerClass, Setting, Solution

NONE = "No perturbation"
UNIFORM = "Adversary on both"
MIXED = "Adversary on +, anti on -"
OPPOSITE = "Anti on +, adversary on -"
MINORITY = "Adversary on the rarer class, anti on the other"
ONLY_ADVERSARY = "Adversary on + alone"
ONLY_ANTI = "Anti on - alone"
LARGER = "Larger on + (FRL ReMargin)"
SMALLER = "Smaller on + (CFA)"
ALL = "Adversary on all"
ORACLE = "Adversary on right labels, anti on wrong ones"
ONLY_FLIPPED = "Nothing on right labels, large anti on wrong ones"
CLEAN = "No noise, no perturbation"
FORMULA = "Bounds of the formula"

Rows = dict[str, Setting]
Solutions = Mapping[str, Solution]


@dataclass(frozen=True)
class Check:
    """One sentence with its numbers, and whether it holds at the parameters in force."""

    text: str
    holds: bool


def trained(setting: Setting, plus: float, minus: float) -> Setting:
    """Return the setting with other bounds; flipped samples take those of their labels."""
    own = {"rho_flipped_plus": None, "rho_flipped_minus": None}
    return setting.model_copy(update={"rho_plus": plus, "rho_minus": minus, **own})


def corners(setting: Setting) -> Rows:
    """Return each class with an adversary or an anti-adversary of size epsilon, or with none."""
    size = setting.epsilon
    return {
        NONE: trained(setting, 0.0, 0.0),
        UNIFORM: trained(setting, size, size),
        MIXED: trained(setting, size, -size),
        OPPOSITE: trained(setting, -size, size),
    }


def for_the_rarer(setting: Setting) -> Rows:
    size = setting.epsilon if setting.prior_ratio <= 1 else -setting.epsilon
    both = corners(setting)
    return {
        NONE: both[NONE],
        UNIFORM: both[UNIFORM],
        MINORITY: trained(setting, size, -size),
    }


def levers(setting: Setting) -> Rows:
    size = setting.epsilon
    return {
        NONE: trained(setting, 0.0, 0.0),
        ONLY_ADVERSARY: trained(setting, size, 0.0),
        ONLY_ANTI: trained(setting, 0.0, -size),
        MIXED: trained(setting, size, -size),
    }


def frl_and_cfa(setting: Setting) -> Rows:
    size = setting.epsilon
    return {
        UNIFORM: trained(setting, size, size),
        LARGER: trained(setting, min(1.5 * size, setting.eta), size),
        SMALLER: trained(setting, 0.5 * size, size),
    }


def noisy(setting: Setting) -> Rows:
    """Return ways to train on wrong labels, with the loss that this is solved for."""
    size, eta = setting.epsilon, setting.eta
    smooth = setting.model_copy(update={"loss": "logistic"})
    nothing, uniform = trained(smooth, 0.0, 0.0), trained(smooth, size, size)

    def on_flipped(base: Setting, rho: float) -> Setting:
        return base.model_copy(update={"rho_flipped_plus": rho, "rho_flipped_minus": rho})

    return {
        NONE: nothing,
        ALL: uniform,
        ORACLE: on_flipped(uniform, -size),
        ONLY_FLIPPED: on_flipped(nothing, -eta),
        CLEAN: nothing.model_copy(update={"noise_plus": 0.0, "noise_minus": 0.0}),
    }


def restoring(setting: Setting) -> Rows:
    """Return the bounds that restore balance, cut at eta where the formula wants more."""
    wanted = -(setting.sigma**2) * math.log(setting.prior_ratio) / (2 * setting.dim * setting.eta)
    size = math.copysign(min(abs(wanted), setting.eta), wanted)
    return {NONE: trained(setting, 0.0, 0.0), FORMULA: trained(setting, size, -size)}


def the_hard_class_pays(found: Solutions) -> list[Check]:
    errors = found[NONE].natural_error
    told = f"{percent(errors.plus)} on class +, {percent(errors.minus)} on class -"
    return [Check(f"The natural error is larger on the hard class: {told}", errors.gap > 0)]


def uniform_hurts(found: Solutions) -> list[Check]:
    before, after = found[NONE].natural_error, found[UNIFORM].natural_error
    return [
        Check(f"The natural gap grows: {_gaps(before, after)}", after.gap > before.gap),
        Check(
            f"The hard class gets worse: {_change(before.plus, after.plus)}",
            after.plus > before.plus,
        ),
    ]


def mixing_helps(found: Solutions) -> list[Check]:
    nothing, uniform, mixed = (found[name] for name in (NONE, UNIFORM, MIXED))
    natural, robust = mixed.natural_error, mixed.robust_error
    from_natural, from_robust = nothing.natural_error, uniform.robust_error
    return [
        _shrinks("natural", uniform.natural_error, natural),
        _shrinks("robust", uniform.robust_error, robust),
        Check(
            "The gap does not change sides: "
            f"natural {points(natural.gap, 1)}, robust {points(robust.gap, 1)}",
            min(natural.gap, robust.gap) >= 0,
        ),
        Check(
            "It costs no natural error on average, against no perturbation: "
            f"{_change(from_natural.average, natural.average)}",
            natural.average <= from_natural.average,
        ),
        Check(
            "It costs no robust error on average, against adversaries on both: "
            f"{_change(from_robust.average, robust.average)}",
            robust.average <= from_robust.average,
        ),
    ]


def the_opposite_hurts(found: Solutions) -> list[Check]:
    before, after = found[NONE].natural_error, found[OPPOSITE].natural_error
    return [Check(f"The natural gap grows: {_gaps(before, after)}", after.gap > before.gap)]


def the_rarer_class_gains(found: Solutions) -> list[Check]:
    """Compare with both others; a gap is compared by its size."""
    mixed = found[MINORITY]
    others = (found[UNIFORM], found[NONE])
    gaps = [abs(other.natural_error.gap) for other in others]
    naturals = [other.natural_error.average for other in others]
    robusts = [other.robust_error.average for other in others]
    return [
        _below_both("natural gap", gaps, abs(mixed.natural_error.gap)),
        _below_both("average natural error", naturals, mixed.natural_error.average),
        _below_both("average robust error", robusts, mixed.robust_error.average),
    ]


def noise_is_tamed(found: Solutions) -> list[Check]:
    uniform = found[ALL]
    return [
        Check(
            f"{name}: average natural error {_change(*natural)}, robust {_change(*robust)}",
            natural[1] < natural[0] and robust[1] < robust[0],
        )
        for name in (ORACLE, ONLY_FLIPPED)
        for natural, robust in [
            (
                (uniform.natural_error.average, found[name].natural_error.average),
                (uniform.robust_error.average, found[name].robust_error.average),
            )
        ]
    ]


def they_move_apart(found: Solutions) -> list[Check]:
    uniform, larger, smaller = (found[name].b for name in (UNIFORM, LARGER, SMALLER))
    return [
        Check(
            f"One moves b up and the other down: from {place(uniform)} to {place(larger)} with the "
            f"larger and to {place(smaller)} with the smaller bound",
            (larger - uniform) * (smaller - uniform) < 0,
        )
    ]


def anti_does_the_work(found: Solutions) -> list[Check]:
    start, adversary, anti = (found[name].b for name in (NONE, ONLY_ADVERSARY, ONLY_ANTI))
    return [
        Check(
            f"The adversary alone moves b by {adversary - start:+.4f}, less than a tenth of what "
            f"the anti-adversary alone does: {anti - start:+.4f}",
            abs(adversary - start) < 0.1 * abs(anti - start),
        )
    ]


def balance_is_restored(found: Solutions) -> list[Check]:
    before, after = found[NONE], found[FORMULA]
    return [
        Check(
            f"Both classes have the same errors: b {place(before.b)} to {place(after.b)}, "
            f"natural gap {_gaps(before.natural_error, after.natural_error)}",
            abs(after.natural_error.gap) < EVEN,
        )
    ]


def _shrinks(name: str, before: PerClass, after: PerClass) -> Check:
    return Check(
        f"The {name} gap shrinks: {_gaps(before, after)}", abs(after.gap) < abs(before.gap)
    )


def _below_both(name: str, others: list[float], own: float) -> Check:
    uniform, nothing = (percent(other) for other in others)
    told = f"{percent(own)}; adversaries on both {uniform}, no perturbation {nothing}"
    return Check(f"The {name} is the smallest: {told}", own < min(others))


def _change(before: float, after: float) -> str:
    return f"{percent(before)} to {percent(after)}"


def _gaps(before: PerClass, after: PerClass) -> str:
    return f"{100 * before.gap:+.1f} to {points(after.gap, 1)}"
