"""The table of a study: what the seeds of each scenario say, one table for each protocol."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.compare.finished import Finished, shaped
from app.compare.protocol import Protocol
from app.compare.tradeoff import groups, title_of
from db.reads import comparison as stored
from db.reads.comparison import EVERY_OVERALL
from db.session import Database
from engine.evaluation.statistics import t_interval

DIGITS = 2
"""Of a percentage in the table; what is equal in these is equally good."""


@dataclass(frozen=True)
class StudyTable:
    """The results that may stand in one ranking.

    Attributes:
        protocol: How they were measured.
        rows: One row per scenario: ``title``, ``method``, ``n`` (seeds), ``seeds``, and for each
            of `EVERY_OVERALL` the mean over the seeds, its ``_sd`` (sample standard deviation),
            ``_low`` and ``_high`` (Student's 95 % interval of the mean; all three NaN for one
            seed) and ``_values``, the seeds' own. Shares of 1.
    """

    protocol: Protocol
    rows: pd.DataFrame


def read_tables(database: Database, study: str) -> list[StudyTable]:
    """Return the tables of a study's finished runs, that with the most runs first."""
    with database.read() as session:
        runs = [shaped(row) for row in stored.finished_of(session, study)]
        ids = [run.id for run in runs]
        errors = stored.overall_errors(session, ids, "test", names=EVERY_OVERALL)
    return study_tables(runs, errors)


def study_tables(runs: Sequence[Finished], errors: pd.DataFrame) -> list[StudyTable]:
    """Return one table for each protocol.

    Args:
        runs: Newest first; of a repeated seed the newest counts.
        errors: Their test errors: run_id, name, value.
    """
    wide = errors.pivot_table(index="run_id", columns="name", values="value", aggfunc="last")
    known = wide.reindex(columns=list(EVERY_OVERALL))
    measured = [run for run in runs if run.id in known.index]
    usual = Counter(run.protocol_id for run in measured).most_common()
    return [
        _table([run for run in measured if run.protocol_id == protocol_id], known)
        for protocol_id, _ in usual
    ]


def _table(runs: Sequence[Finished], errors: pd.DataFrame) -> StudyTable:
    members = groups(runs)
    names = _names(members)
    rows = [
        {
            "title": names[key],
            "method": seeds[0].method,
            "n": len(seeds),
            "seeds": ", ".join(str(run.seed) for run in seeds),
            **_over_seeds(errors.loc[[run.id for run in seeds]]),
        }
        for key, seeds in members.items()
    ]
    return StudyTable(runs[0].protocol, pd.DataFrame(rows).sort_values("title", ignore_index=True))


def _names(members: dict[str, list[Finished]]) -> dict[str, str]:
    """Call each scenario by its method; where two share one, by its name and its fingerprint."""
    shared = Counter(seeds[0].method for seeds in members.values())
    return {
        key: seeds[0].method if shared[seeds[0].method] == 1 else f"{title_of(seeds)} [{key}]"
        for key, seeds in members.items()
    }


def _over_seeds(errors: pd.DataFrame) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in EVERY_OVERALL:
        values = errors[name].to_numpy(dtype=np.float64)
        low, high = t_interval(values)
        sd = values.std(ddof=1) if len(values) > 1 else np.nan
        found |= {name: values.mean(), f"{name}_sd": sd, f"{name}_low": low, f"{name}_high": high}
        found[f"{name}_values"] = values.tolist()
    return found


def best(rows: pd.DataFrame, name: str) -> list[bool]:
    """Tell which rows have the smallest mean as it is written; of a single row nothing is best."""
    written = (100 * rows[name]).round(DIGITS)
    return [len(rows) > 1 and bool(value == written.min()) for value in written]


def ranked(table: StudyTable, name: str) -> pd.DataFrame:
    """Return one error of each scenario, the smallest first: rank, title, ..., value, low, high.

    Scenarios whose means are written alike share a rank. Intervals end at 0 and at 1.
    """
    rows = table.rows[table.rows[name].notna()]
    written = (100 * rows[name]).round(DIGITS)
    found = rows[["title", "method", "n", "seeds"]].assign(
        rank=written.rank(method="min").astype(int),
        value=rows[name],
        low=rows[f"{name}_low"].clip(lower=0),
        high=rows[f"{name}_high"].clip(upper=1),
        values=rows[f"{name}_values"],
    )
    return found.sort_values(["rank", "title"], ignore_index=True)
