"""Is a method of a study better beyond chance? Each other one against it, seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from engine.evaluation.comparison import SeedDifference, seed_difference
from engine.evaluation.statistics import ENOUGH_SEEDS, holm

ALPHA = 0.05
"""Chance of calling any of the differences of a table real where none is."""


@dataclass(frozen=True)
class Rival:
    """One row against the reference.

    Attributes:
        title: What it is called.
        difference: Its error less that of the reference.
        p_value: Corrected for all rivals of the table (Holm); NaN where there is no test.
    """

    title: str
    difference: SeedDifference
    p_value: float

    @property
    def differs(self) -> bool:
        """Whether it differs from the reference beyond chance."""
        return self.p_value <= ALPHA

    @property
    def is_behind(self) -> bool:
        """Whether it is worse than the reference beyond chance."""
        return self.differs and self.difference.value > 0


@dataclass(frozen=True)
class Contest:
    """What a study says of one error.

    Attributes:
        reference: The row that all others are compared with.
        rivals: Every other one, in order of its mean.
    """

    reference: str
    rivals: Sequence[Rival]


def contest(rows: pd.DataFrame, name: str, against: str | None = None) -> Contest | None:
    """Compare the rows of a table by one measure; None where there are not two to compare.

    Args:
        rows: Of a `StudyTable`.
        name: One of `app.compare.measures.MEASURES`.
        against: Title of the reference; that of the least mean unless it is named. None is told of
            a reference that has no such error.
    """
    read = rows.loc[rows[name].notna(), ["title", "seeds", name, f"{name}_values"]]
    known = read.sort_values([name, "title"]).to_dict("records")
    wanted = [row for row in known if against is None or row["title"] == against]
    if len(known) < 2 or not wanted:
        return None
    reference = wanted[0]
    others = [row for row in known if row is not reference]
    own = by_seed(reference, name)
    found = [seed_difference(by_seed(row, name), own) for row in others]
    tested = [place for place, one in enumerate(found) if one.n >= ENOUGH_SEEDS]
    p_values = np.full(len(found), np.nan)
    p_values[tested] = holm([found[place].p_value for place in tested])
    rivals = [
        Rival(row["title"], difference, float(p))
        for row, difference, p in zip(others, found, p_values, strict=True)
    ]
    return Contest(reference["title"], rivals)


def by_seed(row: Mapping[Any, Any], name: str) -> dict[int, float]:
    """Return seed -> value of one measure of a row of a `StudyTable`."""
    seeds = [int(seed) for seed in row["seeds"].split(", ")]
    return dict(zip(seeds, row[f"{name}_values"], strict=True))


def verdict(found: Contest) -> str:
    """Say in one or two sentences against whom the lead is beyond chance, and what is missing."""
    behind = [rival.title for rival in found.rivals if rival.is_behind]
    untested = [rival for rival in found.rivals if rival.p_value != rival.p_value]
    level = [r.title for r in found.rivals if not r.is_behind and r not in untested]
    told = []
    if behind:
        told.append(f"ahead of {in_a_list(behind)} beyond chance")
    if level:
        told.append(f"not to be told from {in_a_list(level)}")
    said = [f"Over the seeds it is {' and '.join(told)} (paired t-test, Holm, 5 %)."] * bool(told)
    if untested:
        names = in_a_list([rival.title for rival in untested])
        said.append(f"Against {names} there is no test: that takes {ENOUGH_SEEDS} common seeds.")
    return " ".join(said)


def in_a_list(names: Sequence[str]) -> str:
    """Write ``a``, ``a and b``, or ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
