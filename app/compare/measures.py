"""What a study's table says of a scenario: errors and how unevenly classes bear them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from db.reads.comparison import EVERY_OVERALL
from engine.evaluation.error_names import BOUNDARY_ERROR, NATURAL_ERROR, ROBUST_ERROR
from engine.evaluation.statistics import nsd, worst_mean

MANY = 20
"""Classes from which on the worst tenth is more than one or two of them."""


@dataclass(frozen=True)
class Measure:
    """One column of the table.

    Attributes:
        name: Of the column.
        head: Above it.
        error: The error that it is about.
        is_share: Whether it is a share of 1, written in percent; else a plain number.
        of_many: Whether it says anything only where there are `MANY` classes.
    """

    name: str
    head: str
    error: str
    is_share: bool = True
    of_many: bool = False

    @property
    def scale(self) -> float:
        """What one is, as it is written."""
        return 100.0 if self.is_share else 1.0

    def written(self, values: "pd.Series[float]") -> "pd.Series[float]":
        """Return values as they are written: what is equal in these is equally good."""
        return (self.scale * values).round(DIGITS)


DIGITS = 2
"""Of every number in the table."""


def _of(error: str) -> tuple[Measure, ...]:
    word = error.removesuffix("_error").capitalize()
    return (
        Measure(error, f"{word}, average", error),
        Measure(f"worst_{error}", f"{word}, worst", error),
        Measure(f"worst_10_percent_{error}", f"{word}, worst 10 %", error, of_many=True),
        Measure(f"worst_30_percent_{error}", f"{word}, worst 30 %", error, of_many=True),
    )


MEASURES: Mapping[str, Measure] = {
    measure.name: measure
    for measure in (
        *_of(NATURAL_ERROR),
        *_of(BOUNDARY_ERROR),
        *_of(ROBUST_ERROR),
        Measure(f"{NATURAL_ERROR}_nsd", "NSD, natural", NATURAL_ERROR, is_share=False),
        Measure(f"{ROBUST_ERROR}_nsd", "NSD, robust", ROBUST_ERROR, is_share=False),
    )
}
"""Every column by name, in their order."""

MEASURED = (*EVERY_OVERALL, *(name for name in MEASURES if name not in EVERY_OVERALL))


def shown(num_classes: int) -> dict[str, Measure]:
    """Return the columns that say something of so many classes."""
    return {
        name: measure
        for name, measure in MEASURES.items()
        if not measure.of_many or num_classes >= MANY
    }


def of_classes(errors: pd.DataFrame) -> pd.DataFrame:
    """Return, run by run, what of `MEASURES` comes from the errors of its classes.

    Args:
        errors: run_id, name (an error), value, n: a row for each class; one without images counts
            nowhere.
    """
    known = errors[(errors["n"] > 0) & errors["value"].notna()]
    grid = known.pivot_table(index=["run_id", "name"], columns="class_index", values="value")
    values = grid.to_numpy(dtype=np.float64)
    told = {
        "{}_nsd": nsd(values),
        "worst_10_percent_{}": worst_mean(values, tenths=1),
        "worst_30_percent_{}": worst_mean(values, tenths=3),
    }
    columns = {}
    for error in grid.index.unique("name"):
        its = grid.index.get_level_values("name") == error
        runs = grid.index[its].get_level_values("run_id")
        for name, found in told.items():
            columns[name.format(error)] = pd.Series(found[its], index=runs)
    return pd.DataFrame(columns)
