"""The tables of a study: what the seeds of each method say, scenario by scenario."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from app.compare.finished import Finished, shaped
from app.compare.measures import MEASURED, MEASURES, of_classes
from app.compare.protocol import Protocol
from app.compare.tradeoff import groups, title_of
from db.reads import comparison as stored
from db.reads.comparison import EVERY_OVERALL
from db.session import Database
from engine.evaluation.statistics import Floats, t_interval

_NO_CLASSES = pd.DataFrame(columns=["run_id", "name", "class_index", "value", "n"])


@dataclass(frozen=True)
class StudyTable:
    """The results that may stand in one ranking: one scenario, measured in one way.

    Attributes:
        protocol: How they were measured.
        rows: One row per method: ``title``, ``family`` (what rows of one sweep share, else the
            title), ``method``, ``n`` (seeds), ``seeds``, ``runs`` (their ids), and for each of
            `MEASURES` the mean over the seeds, its ``_sd`` (sample standard deviation), ``_low``
            and ``_high`` (Student's 95 % interval of the mean, NaN for fewer than three seeds) and
            ``_values``, the seeds' own. Errors are shares of 1.
        scenario: What the study's file calls it; empty where there is but one.
        classes: One row per method, error and class: title, method, name, class_index, class,
            value (mean over the seeds).
    """

    protocol: Protocol
    rows: pd.DataFrame
    scenario: str = ""
    classes: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def num_classes(self) -> int:
        """How many classes have images; 0 if nobody counted."""
        return int(self.classes["class_index"].nunique()) if len(self.classes) else 0


def read_tables(database: Database, study: str) -> list[StudyTable]:
    """Return the tables of a study's finished runs, scenarios in the order of its file.

    Of several protocols that with the most runs stands first.
    """
    with database.read() as session:
        runs = [shaped(row) for row in stored.finished_of(session, study)]
        ids = [run.id for run in runs]
        errors = stored.overall_errors(session, ids, "test", names=EVERY_OVERALL)
        classes = stored.class_errors(session, ids)
    return study_tables(runs, errors, classes)


def study_tables(
    runs: Sequence[Finished], errors: pd.DataFrame, classes: pd.DataFrame = _NO_CLASSES
) -> list[StudyTable]:
    """Return one table for each protocol and scenario.

    Args:
        runs: Newest first; of a repeated seed the newest counts.
        errors: Their test errors: run_id, name, value.
        classes: Those of each class: run_id, name, class_index, value, n.
    """
    wide = errors.pivot_table(index="run_id", columns="name", values="value", aggfunc="last")
    known = wide.join(of_classes(classes)).reindex(columns=list(MEASURED))
    measured = [run for run in runs if run.id in known.index]
    usual = Counter(run.protocol_id for run in measured)
    found: dict[tuple[str, str], list[Finished]] = {}
    for run in sorted(measured, key=lambda run: (-usual[run.protocol_id], run.place)):
        found.setdefault((run.protocol_id, run.scenario_name), []).append(run)
    return [_table(_newest_first(alike, runs), known, classes) for alike in found.values()]


def _newest_first(alike: Sequence[Finished], runs: Sequence[Finished]) -> list[Finished]:
    chosen = {run.id for run in alike}
    return [run for run in runs if run.id in chosen]


def _table(runs: Sequence[Finished], errors: pd.DataFrame, classes: pd.DataFrame) -> StudyTable:
    members = groups(runs)
    names = _names(members)
    order = {key: min(run.place for run in seeds) for key, seeds in members.items()}
    values = errors[list(MEASURES)].to_numpy(dtype=np.float64)
    place = {run_id: row for row, run_id in enumerate(errors.index)}
    rows = [
        {
            "title": names[key],
            "family": members[key][0].family or names[key],
            "method": members[key][0].method,
            "n": len(members[key]),
            "seeds": ", ".join(str(run.seed) for run in members[key]),
            "runs": [run.id for run in members[key]],
            **_over_seeds(values[[place[run.id] for run in members[key]]]),
        }
        for key in sorted(members, key=lambda key: (order[key], names[key]))
    ]
    return StudyTable(
        runs[0].protocol,
        pd.DataFrame(rows),
        runs[0].scenario_name,
        _by_class(members, names, classes),
    )


def _names(members: dict[str, list[Finished]]) -> dict[str, str]:
    """Call each row as the file does, or by its method; where two share that, by more."""
    short = {key: seeds[0].cell_name or seeds[0].method for key, seeds in members.items()}
    shared = Counter(short.values())
    return {
        key: short[key]
        if shared[short[key]] == 1
        else f"{seeds[0].cell_name or title_of(seeds)} [{key}]"
        for key, seeds in members.items()
    }


def _over_seeds(errors: Floats) -> dict[str, object]:
    """Return what the seeds say, from the errors of each seed (S, M) in the order of `MEASURES`."""
    found: dict[str, object] = {}
    for name, values in zip(MEASURES, errors.T, strict=True):
        low, high = t_interval(values)
        sd = values.std(ddof=1) if len(values) > 1 else np.nan
        found |= {name: values.mean(), f"{name}_sd": sd, f"{name}_low": low, f"{name}_high": high}
        found[f"{name}_values"] = values.tolist()
    return found


def _by_class(
    members: dict[str, list[Finished]], names: dict[str, str], classes: pd.DataFrame
) -> pd.DataFrame:
    """Return the mean error of each row's classes over its seeds."""
    owner = {run.id: key for key, seeds in members.items() for run in seeds}
    mine = classes[classes["run_id"].isin(owner) & (classes["n"] > 0) & classes["value"].notna()]
    mine = mine.assign(group=mine["run_id"].map(owner))
    means = mine.groupby(["group", "name", "class_index"])["value"].mean().reset_index()
    class_names = next(iter(members.values()))[0].class_names
    methods = {key: seeds[0].method for key, seeds in members.items()}
    means["title"], means["method"] = means["group"].map(names), means["group"].map(methods)
    means["class"] = [_class_name(class_names, int(index)) for index in means["class_index"]]
    return means.drop(columns=["group"])


def _class_name(names: Sequence[str], index: int) -> str:
    return names[index] if index < len(names) else str(index)


def best(rows: pd.DataFrame, name: str) -> list[bool]:
    """Tell which rows have the smallest mean as it is written; of a single row nothing is best."""
    written = MEASURES[name].written(rows[name])
    return [len(rows) > 1 and bool(value == written.min()) for value in written]


def ranked(table: StudyTable, name: str) -> pd.DataFrame:
    """Return one measure of each row, the smallest first: rank, title, ..., value, low, high.

    Rows whose means are written alike share a rank. Intervals of errors end at 0 and at 1.
    """
    most = 1.0 if MEASURES[name].is_share else np.inf
    rows = table.rows[table.rows[name].notna()]
    written = MEASURES[name].written(rows[name])
    found = rows[["title", "method", "n", "seeds"]].assign(
        rank=written.rank(method="min").astype(int),
        value=rows[name],
        low=rows[f"{name}_low"].clip(lower=0),
        high=rows[f"{name}_high"].clip(upper=most),
        values=rows[f"{name}_values"],
    )
    return found.sort_values(["rank", "title"], ignore_index=True)
