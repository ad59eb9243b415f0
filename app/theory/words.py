"""What the theory lab says about a solution, on its page and on the command line."""

import math
from typing import NamedTuple

from app.text.format import percent
from engine.theory.mixture import PerClass, Setting, Solution, fair_boundary
from engine.theory.solver import fair_bound

EVEN = 0.0005
"""A smaller gap is none, as errors are written to a tenth of a point."""


class ClassNames(NamedTuple):
    """What the two classes are called."""

    plus: str
    minus: str


def class_names(setting: Setting) -> ClassNames:
    """Return the classes' names, which say which is harder where one is."""
    if setting.k > 1:
        return ClassNames("hard class (+)", "easy class (-)")
    return ClassNames("class +", "class -")


def who_pays(setting: Setting, errors: PerClass) -> str:
    """Return one sentence with the natural errors: the answer to the page's question."""
    names = class_names(setting)
    if abs(errors.gap) < EVEN:
        return f"Both classes pay the same: {percent(errors.average)} natural error each"
    payer, other = names if errors.gap > 0 else (names.minus, names.plus)
    article = "the " if setting.k > 1 else ""
    said = (
        f"{article}{payer} pays: {percent(max(errors))} natural error, {percent(min(errors))} on "
        f"{article}{other}, a gap of {100 * abs(errors.gap):.1f} points"
    )
    return said[0].upper() + said[1:]


def where(setting: Setting, solution: Solution) -> str:
    """Return one sentence that says where the boundary stands, and how that was found."""
    how = "0-1 loss, closed form" if setting.loss == "zero-one" else "logistic loss, quadrature"
    if math.isfinite(solution.b):
        return f"Boundary at b = {place(solution.b)} ({how})"
    sign = "+" if solution.b > 0 else "-"
    return f"No boundary: the loss is smallest when every sample is called {sign} ({how})"


def place(b: float) -> str:
    """Write where a boundary stands, without a sign before zero."""
    return f"{round(b, 4) + 0.0:.4f}" if math.isfinite(b) else "nowhere"


def how_fair(setting: Setting) -> list[str]:
    """Say, for both errors, where the classes are equal and which opposite bounds lead there."""
    lines = []
    for name, epsilon in (("natural", 0.0), ("robust", setting.epsilon)):
        rho = fair_bound(setting, epsilon)
        reached = (
            f"no pair of opposite bounds up to eta = {setting.eta:g} leads there"
            if rho is None
            else f"train with bounds {rho:+.4f} on class + and {-rho:+.4f} on class -"
        )
        lines.append(
            f"Equal {name} errors at b = {place(fair_boundary(setting, epsilon))}: {reached}"
        )
    return lines
