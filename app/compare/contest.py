"""Is the best of a study better beyond chance? Each other one against it, seed by seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.evaluation.comparison import SeedDifference, seed_difference
from engine.evaluation.statistics import holm

ALPHA = 0.05
"""Chance of calling any of the differences of a study real where none is."""
ENOUGH = 3
"""Seeds that a test is made of: two tell next to nothing."""


@dataclass(frozen=True)
class Rival:
    """One scenario against the best.

    Attributes:
        title: What it is called.
        difference: Its error less that of the best.
        p_value: Corrected for all rivals of the study (Holm); NaN where there is no test.
    """

    title: str
    difference: SeedDifference
    p_value: float

    @property
    def is_behind(self) -> bool:
        """Whether it is worse than the best beyond chance."""
        return self.p_value <= ALPHA and self.difference.value > 0


@dataclass(frozen=True)
class Contest:
    """What a study says of one error.

    Attributes:
        best: The scenario of the least mean.
        rivals: Every other one, in order of its mean.
    """

    best: str
    rivals: Sequence[Rival]


def contest(rows: pd.DataFrame, name: str) -> Contest | None:
    """Compare the scenarios of a study by one error; None where there are not two to compare.

    Args:
        rows: Of a `StudyTable`.
        name: One of `EVERY_OVERALL`.
    """
    known = rows[rows[name].notna()].sort_values([name, "title"]).to_dict("records")
    if len(known) < 2:
        return None
    by_seed = [dict(zip(_seeds(row["seeds"]), row[f"{name}_values"], strict=True)) for row in known]
    found = [seed_difference(errors, by_seed[0]) for errors in by_seed[1:]]
    tested = [place for place, one in enumerate(found) if one.n >= ENOUGH]
    p_values = np.full(len(found), np.nan)
    p_values[tested] = holm([found[place].p_value for place in tested])
    rivals = [
        Rival(row["title"], difference, float(p))
        for row, difference, p in zip(known[1:], found, p_values, strict=True)
    ]
    return Contest(known[0]["title"], rivals)


def _seeds(text: str) -> list[int]:
    return [int(seed) for seed in text.split(", ")]


def verdict(found: Contest) -> str:
    """Say in one or two sentences against whom the lead is beyond chance, and what is missing."""
    behind = [rival.title for rival in found.rivals if rival.is_behind]
    untested = [rival for rival in found.rivals if rival.p_value != rival.p_value]
    level = [r.title for r in found.rivals if not r.is_behind and r not in untested]
    told = []
    if behind:
        told.append(f"ahead of {_list(behind)} beyond chance")
    if level:
        told.append(f"not to be told from {_list(level)}")
    said = [f"Over the seeds it is {' and '.join(told)} (paired t-test, Holm, 5 %)."] * bool(told)
    if untested:
        names = _list([rival.title for rival in untested])
        said.append(f"Against {names} there is no test: that takes {ENOUGH} common seeds.")
    return " ".join(said)


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
