"""What the theory lab's charts and tables are drawn from."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import norm

from app.theory.words import class_names
from engine.theory.mixture import Setting, Solution, shares
from engine.theory.solver import Draw, solve, standard_error

NUM_POINTS = 161
"""Of a density."""

NUM_BOUNDS = 61
"""Of a sweep over a bound."""

SWEEPS = {
    "plus": "Bound of class +",
    "minus": "Bound of class -",
    "opposite": "+ up, - down",
    "both": "Both alike",
}


def densities(setting: Setting, b: float) -> pd.DataFrame:
    """Return how the scores w.x of each class are distributed, times its prior.

    Columns: class, class_index, score, density, trained (the density of the class as its bound
    moved it), boundary (the score where the answer changes; NaN where it never does) and reach
    (how far the attack moves a score).
    """
    spread = (setting.k * setting.sigma, setting.sigma)
    rho = (setting.rho_plus, setting.rho_minus)
    prior = shares(setting.prior_ratio)
    centre = setting.root_dim * setting.eta
    low, high = -centre - 4 * spread[1], centre + 4 * spread[0]
    scores = np.linspace(min(low, centre - 4 * spread[0]), high, NUM_POINTS)
    tables = []
    for index, (name, sign) in enumerate(zip(class_names(setting), (1, -1), strict=True)):
        moved = sign * setting.root_dim * (setting.eta - rho[index])
        table = pd.DataFrame(
            {
                "class": name,
                "class_index": index,
                "score": scores,
                "density": prior[index] * norm.pdf(scores, sign * centre, spread[index]),
                "trained": prior[index] * norm.pdf(scores, moved, spread[index]),
            }
        )
        tables.append(table)
    return pd.concat(tables, ignore_index=True).assign(
        boundary=-b if math.isfinite(b) else math.nan,
        reach=setting.root_dim * setting.epsilon,
    )


def errors(setting: Setting, solution: Solution, drawn: Draw | None) -> pd.DataFrame:
    """Return one row per class and error, with its estimate where samples were drawn.

    Columns: class, name, value, estimate, standard_error, n (0 without samples).
    """
    rows = []
    for name, exact in solution.by_name().items():
        for index, called in enumerate(class_names(setting)):
            n = drawn.n if drawn else 0
            counted = drawn.by_name()[name][index] if drawn else math.nan
            stray = standard_error(exact[index], n) if n else math.nan
            rows.append((called, name, exact[index], counted, stray, n))
    columns = ["class", "name", "value", "estimate", "standard_error", "n"]
    return pd.DataFrame(rows, columns=columns)


def sweep(setting: Setting, moved: str) -> pd.DataFrame:
    """Return each class's errors as a bound goes from -eta to eta.

    Columns: class, class_index, bound, b, natural_error, robust_error, current (the bound in
    force; NaN where the bounds in force are not among those that are swept).

    Args:
        setting: Everything but the bounds that move.
        moved: One of `SWEEPS`.
    """
    rows = []
    for bound in np.linspace(-setting.eta, setting.eta, NUM_BOUNDS):
        found = solve(setting.model_copy(update=_bounds(moved, float(bound))))
        for index, name in enumerate(class_names(setting)):
            natural, robust = found.natural_error[index], found.robust_error[index]
            rows.append((name, index, bound, found.b, natural, robust))
    columns = ["class", "class_index", "bound", "b", "natural_error", "robust_error"]
    return pd.DataFrame(rows, columns=columns).assign(current=_current(setting, moved))


def _bounds(moved: str, bound: float) -> dict[str, float]:
    match moved:
        case "plus":
            return {"rho_plus": bound}
        case "minus":
            return {"rho_minus": bound}
        case "opposite":
            return {"rho_plus": bound, "rho_minus": -bound}
        case _:
            return {"rho_plus": bound, "rho_minus": bound}


def _current(setting: Setting, moved: str) -> float:
    bound = setting.rho_minus if moved == "minus" else setting.rho_plus
    in_force = {"rho_plus": setting.rho_plus, "rho_minus": setting.rho_minus}
    return bound if in_force | _bounds(moved, bound) == in_force else math.nan


def comparison(found: Mapping[str, Solution]) -> pd.DataFrame:
    """Return one row per way to train: its boundary and, for both errors, what each class pays."""
    rows = []
    for name, solution in found.items():
        row = {"training": name, "b": solution.b if math.isfinite(solution.b) else math.nan}
        for kind in ("natural_error", "robust_error"):
            errors = solution.by_name()[kind]
            row |= {
                f"{kind}_plus": errors.plus,
                f"{kind}_minus": errors.minus,
                f"{kind}_gap": errors.gap,
                f"{kind}_average": errors.average,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def in_percent(table: pd.DataFrame) -> pd.DataFrame:
    """Return a comparison with its errors times 100, for a table that a person reads."""
    errors = [name for name in table.columns if "_error_" in name]
    return table.assign(**{name: 100 * table[name] for name in errors})
