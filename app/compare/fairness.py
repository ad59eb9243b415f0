"""What the page on class fairness says and draws: counted errors in, plain tables out."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from app.compare import runs as comparison
from app.compare.protocol import differences, in_words
from app.compare.runs import Finished
from app.data.cached import Columns, class_name
from app.text.palette import ERRORS
from engine.evaluation.comparison import paired_difference
from engine.evaluation.error_names import BOUNDARY_ERROR, ROBUST_ERROR
from engine.evaluation.statistics import errors_of, holm, rho, spread

LEVEL = 0.05
"""Below this corrected p-value two runs are said to differ."""


MAX_RUNS = 6
"""More runs than this make no readable dot plot."""


class Rise(NamedTuple):
    """A class's error from one epoch to the next."""

    name: str
    before: int
    epoch: int
    start: float
    end: float


def variants(runs: Sequence[Finished]) -> dict[str, int]:
    """Number the runs of each method by their ids, so that the order of choosing is no matter."""
    found: dict[str, int] = {}
    for method in {run.method for run in runs}:
        ids = sorted(run.id for run in runs if run.method == method)
        found |= {run_id: place for place, run_id in enumerate(ids)}
    return found


def class_table(runs: Sequence[Finished]) -> pd.DataFrame:
    """Return the test errors of runs that share their classes, one row per run, error and class.

    Columns: run_id, name, class_index, value, low, high, n, class, title, method, seed, variant,
    card.
    """
    if not runs:
        return pd.DataFrame()
    known, number = {run.id: run for run in runs}, variants(runs)
    table = comparison.errors_under(runs)
    table = table.sort_values("run_id", key=lambda ids: ids.map(list(known).index), kind="stable")
    of = table["run_id"].map(known)
    names = list(runs[0].class_names)
    return table.assign(
        **{"class": [class_name(names, index) for index in table["class_index"]]},
        title=[run.label for run in of],
        method=[run.method for run in of],
        seed=[run.seed for run in of],
        variant=table["run_id"].map(number),
        card=[in_words(run.protocol) for run in of],
    )


def spreads(table: pd.DataFrame) -> pd.DataFrame:
    """Return how each error of each run is spread over the classes, as shares of 1.

    Columns: run_id, title, method, seed, name, average, worst, worst_low, worst_high, worst_class,
    worst_n, gap, sd, nsd, n.
    """
    rows = []
    for run_id, name in product(table["run_id"].unique(), ERRORS):
        errors = table[(table["run_id"] == run_id) & (table["name"] == name)]
        count = errors["n"].to_numpy()
        wrong = np.rint(errors["value"].to_numpy() * count).astype(np.int64)
        found = spread(wrong, count)
        worst = errors.iloc[found.worst_class]
        told = {key: worst[key] for key in ("title", "method", "seed")}
        rows.append(
            {"run_id": run_id, **told, "name": name, "average": found.average}
            | {"worst": found.worst, "worst_low": worst["low"], "worst_high": worst["high"]}
            | {"worst_class": worst["class"], "worst_n": worst["n"], "gap": found.gap}
            | {"sd": found.sd, "nsd": found.nsd, "n": int(count.sum())}
        )
    return pd.DataFrame(rows)


def rhos(found: pd.DataFrame, base_id: str, name: str) -> dict[str, float]:
    """Return rho of each other run against a baseline, by its title, from what `spreads` returned.

    It is of accuracies, so that the boundary error has none; nor has a baseline whose worst class
    is never right.
    """
    rows = found[found["name"] == name].to_dict("records")
    base = next(row for row in rows if row["run_id"] == base_id)
    average, worst = 1 - base["average"], 1 - base["worst"]
    if name == BOUNDARY_ERROR or worst <= 0:
        return {}
    return {
        row["title"]: rho(
            1 - row["average"], 1 - row["worst"], base_average=average, base_worst=worst
        )
        for row in rows
        if row is not base
    }


def largest_rise(history: pd.DataFrame) -> Rise | None:
    """Return where a class lost most from one recorded epoch to the next, if any did.

    Args:
        history: One row per class and epoch: class, class_index, epoch, value.
    """
    grid = history.pivot_table(index="epoch", columns="class", values="value").sort_index()
    values, epochs, names = grid.to_numpy(), grid.index.to_list(), grid.columns.to_list()
    rises = np.nan_to_num(np.diff(values, axis=0))
    if not rises.size or rises.max() <= 0:
        return None
    row, column = np.unravel_index(rises.argmax(), rises.shape)
    start, end = float(values[row, column]), float(values[row + 1, column])
    return Rise(str(names[column]), int(epochs[row]), int(epochs[row + 1]), start, end)


def difference_table(
    base: Finished, others: Sequence[Finished], name: str
) -> tuple[pd.DataFrame, list[str]]:
    """Compare runs with a baseline class by class, on the images that both were shown.

    Returns:
        One row per other run and class (class, class_index, title, method, variant, value, low,
        high, p_value, corrected, differs, n), and, for each run that cannot be compared so, why.
    """
    number = variants([base, *others])
    tables, why_not = [], []
    for run in others:
        reason, found = _paired(base, run, name)
        if reason is not None:
            why_not.append(f"{run.label}: {reason}")
        if found is not None:
            tables.append(found.assign(title=run.label, method=run.method, variant=number[run.id]))
    if not tables:
        return pd.DataFrame(), why_not
    table = pd.concat(tables, ignore_index=True)
    corrected = holm(table["p_value"])
    return table.assign(corrected=corrected, differs=corrected < LEVEL), why_not


def _paired(base: Finished, run: Finished, name: str) -> tuple[str | None, pd.DataFrame | None]:
    told = differences([base.protocol, run.protocol])
    if told:
        return f"another protocol ({'; '.join(told)})", None
    one, other = (
        comparison.outcomes(shown.id, shown.evaluation, shown.made) for shown in (run, base)
    )
    if one is None or other is None:
        return "what was said of each image is not stored, which older runs did not do", None
    if not all(np.array_equal(one[key], other[key]) for key in ("sample", "label")):
        return "its test images are others", None
    names = list(base.class_names)
    size = max(len(names), int(one["label"].max()) + 1)
    found = paired_difference(one["label"], wrong(one, name), wrong(other, name), num_classes=size)
    table = pd.DataFrame({"class_index": np.arange(size), **vars(found)})
    table["class"] = [class_name(names, index) for index in table["class_index"]]
    return None, table[table["n"] > 0]


def wrong(said: Columns, name: str) -> np.ndarray:
    """Return which images count for an error, (N,), from labels and answers."""
    return errors_of(said["label"], said["clean"], said["attacked"])[name]


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and class, as it is downloaded: every error with its interval."""
    index = ["run_id", "title", "method", "seed", "class_index", "class", "n"]
    found = table.pivot_table(index=index, columns="name", values=["value", "low", "high"])
    pairs = [
        (name + ("" if kind == "value" else f"_{kind}"), (kind, name))
        for name in ERRORS
        for kind in ("value", "low", "high")
    ]
    flat = pd.DataFrame({column: found[pair] for column, pair in pairs})
    return flat.reset_index().sort_values(["run_id", ROBUST_ERROR], ascending=[True, False])
