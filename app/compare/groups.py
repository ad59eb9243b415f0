"""Runs that differ in nothing but their seed, as one row each: means, intervals, differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.compare import runs as comparison
from app.compare.fairness import LEVEL, wrong
from app.compare.finished import Finished
from app.compare.protocol import differences
from app.data.cached import class_name
from engine.evaluation.comparison import paired_difference, seed_difference
from engine.evaluation.statistics import holm, t_interval, wilson


@dataclass(frozen=True)
class Seeds:
    """Runs of one method and scenario.

    Attributes:
        title: What they are called; no two groups share it.
        method: Of all of them.
        variant: Number of the group among those of its method.
        runs: The newest first.
    """

    title: str
    method: str
    variant: int
    runs: tuple[Finished, ...]


def by_seeds(runs: Sequence[Finished]) -> list[Seeds]:
    """Put runs together that differ in nothing but seed and name, in the order of choosing."""
    found: dict[tuple[str, str], list[Finished]] = {}
    for run in runs:
        found.setdefault((run.scenario_id, run.protocol_id), []).append(run)
    titles = [_title(group) for group in found.values()]
    counted: dict[str, int] = {}
    groups = []
    for (key, members), title in zip(found.items(), titles, strict=True):
        method = members[0].method
        variant = counted[method] = counted.get(method, -1) + 1
        # A fingerprint tells apart only what words do not.
        called = title if titles.count(title) == 1 else f"{title} · {members[0].id[:8]}"
        del key
        groups.append(Seeds(called, method, variant, tuple(members)))
    return groups


def _title(runs: Sequence[Finished]) -> str:
    titles = {run.title for run in runs}
    name = titles.pop() if len(titles) == 1 else f"{runs[0].method} on {runs[0].dataset}"
    seeds = {run.seed for run in runs}
    return f"{name}, {len(seeds)} seeds" if len(seeds) > 1 else f"{name}, seed {runs[0].seed}"


def class_means(groups: Sequence[Seeds], error: str) -> pd.DataFrame:
    """Return an error of every class and group: mean over seeds and 95 % interval.

    Of three or more seeds the interval is Student's over them, of two there is none; of one it is
    Wilson's over the images.

    Columns: class, class_index, title, method, variant, value, low, high, n, card.
    """
    rows = []
    for group in groups:
        table = comparison.errors_under(group.runs)
        table = table[table["name"] == error]
        names = list(group.runs[0].class_names)
        seeds = {run.id: run.seed for run in group.runs}
        table = table.assign(seed=table["run_id"].map(seeds))
        for index, runs in table.groupby("class_index"):
            # A seed that was run twice is one seed.
            how = {"value": "mean", "low": "first", "high": "first", "n": "sum"}
            cell = runs.groupby("seed").agg(how)
            low, high = _interval(cell)
            rows.append(
                {"class": class_name(names, int(str(index))), "class_index": index}
                | {"title": group.title, "method": group.method, "variant": group.variant}
                | {"value": cell["value"].mean(), "low": low, "high": high}
                | {"n": int(cell["n"].sum()), "card": f"{len(cell)} seeds"}
            )
    return pd.DataFrame(rows)


def _interval(cell: pd.DataFrame) -> tuple[float, float]:
    if len(cell) > 1:
        low, high = t_interval(cell["value"].to_numpy())
        return max(low, 0.0), min(high, 1.0)
    return float(cell["low"].iloc[0]), float(cell["high"].iloc[0])


def baseline_differences(
    base: Seeds, others: Sequence[Seeds], error: str
) -> tuple[pd.DataFrame, list[str]]:
    """Return how much more each group errs on average than a baseline, and why some cannot be told.

    With three or more common seeds it is a paired t-test over them, of two there is none; of one
    run each, McNemar's test over the images that both were shown.

    Returns:
        Rows as `app.charts.difference_forest` draws them, with ``how`` the interval came about; and
        for each group that is left out, why.
    """
    rows, why_not = [], []
    for group in others:
        told = differences([base.runs[0].protocol, group.runs[0].protocol])
        found = None if told else _difference(base, group, error)
        if found is None:
            why = f"another protocol ({'; '.join(told)})" if told else "no common seed or images"
            why_not.append(f"{group.title}: {why}")
        else:
            rows.append({"title": group.title, "method": group.method, **found})
    table = pd.DataFrame(rows)
    if table.empty:
        return table, why_not
    corrected = np.full(len(table), np.nan)
    tested = table["p_value"].notna().to_numpy()
    if tested.any():
        corrected[tested] = holm(table["p_value"].to_numpy()[tested])
    return table.assign(corrected=corrected, differs=corrected < LEVEL), why_not


def _difference(base: Seeds, group: Seeds, error: str) -> dict[str, object] | None:
    found = seed_difference(_by_seed(group, error), _by_seed(base, error))
    if found.n >= 2:
        return {**vars(found), "how": f"{found.n} common seeds"}
    for one in group.runs:
        for other in base.runs:
            if one.seed == other.seed or len(group.runs) == len(base.runs) == 1:
                return _over_images(one, other, error)
    return None


def _over_images(run: Finished, base: Finished, error: str) -> dict[str, object] | None:
    one, other = (comparison.outcomes(r.id, r.evaluation, r.made) for r in (run, base))
    if one is None or other is None:
        return None
    if not all(np.array_equal(one[key], other[key]) for key in ("sample", "label")):
        return None
    together = np.zeros(len(one["label"]), dtype=np.int64)
    found = paired_difference(together, wrong(one, error), wrong(other, error), num_classes=1)
    values = {name: float(value[0]) for name, value in vars(found).items() if name != "n"}
    return {**values, "n": 1, "how": f"{int(found.n[0]):,} images, one seed"}


def _by_seed(group: Seeds, error: str) -> Mapping[int, float]:
    """Return the average error of each seed; of one that stands there twice the mean."""
    table = comparison.errors_under(group.runs)
    table = table[table["name"] == error]
    weighted = (
        table.assign(wrong=table["value"] * table["n"]).groupby("run_id")[["wrong", "n"]].sum()
    )
    errors = weighted["wrong"] / weighted["n"]
    seeds: dict[int, list[float]] = {}
    for run in group.runs:
        if run.id in errors.index:
            seeds.setdefault(run.seed, []).append(float(errors[run.id]))
    return {seed: float(np.mean(values)) for seed, values in seeds.items()}


def averages(groups: Sequence[Seeds], error: str) -> pd.DataFrame:
    """Return each group's average error with its interval: title, value, low, high, seeds."""
    rows = []
    for group in groups:
        values = list(_by_seed(group, error).values())
        if len(values) > 1:
            low, high = t_interval(values)
        else:
            table = comparison.errors_under(group.runs)
            n = int(table[table["name"] == error]["n"].sum())
            low, high = (
                (float(end[0]) for end in wilson(np.array(values), np.array([n])))
                if values and n
                else (np.nan, np.nan)
            )
        mean = float(np.mean(values)) if values else np.nan
        rows.append([group.title, mean, low, high, len(values)])
    return pd.DataFrame(rows, columns=["title", "value", "low", "high", "seeds"])
