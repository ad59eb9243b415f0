"""The points of the trade-off: runs that differ in nothing but the seed are one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from app.compare.finished import Finished
from app.compare.protocol import in_words
from engine.evaluation.comparison import pareto_front
from engine.evaluation.statistics import t_interval

MEASURES = {"average": ("natural", "robust"), "worst": ("worst_natural", "worst_robust")}
"""What stands on the two axes, by what a person chooses."""

QUANTITIES = ("natural", "robust", "worst_natural", "worst_robust")


def groups(runs: Sequence[Finished]) -> dict[str, list[Finished]]:
    """Return the runs of each scenario, lowest seed first; of a repeated seed only the newest.

    Args:
        runs: Newest first.
    """
    found: dict[str, dict[int, Finished]] = {}
    for run in runs:
        found.setdefault(run.scenario_id, {}).setdefault(run.seed, run)
    return {key: [seeds[seed] for seed in sorted(seeds)] for key, seeds in found.items()}


def title_of(runs: Sequence[Finished]) -> str:
    """Return what a group is called: its runs' name if they share one."""
    names = {run.title for run in runs}
    return names.pop() if len(names) == 1 else f"{runs[0].method} on {runs[0].dataset}"


def points(runs: Sequence[Finished], accuracies: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return one row per scenario, with what its seeds say.

    Columns: group, title, method, n (seeds), seeds, card, threat (norm and radius); for each of
    `QUANTITIES` the mean over the seeds and its ``_min``, ``_max``, ``_low`` and ``_high``
    (Student's 95 % interval, of 3 or more); front, whether no other scenario is as good in
    both that ``measure`` names.

    Args:
        runs: Newest first, of one protocol.
        accuracies: One row per run: run_id and `QUANTITIES`.
        measure: One of `MEASURES`.
    """
    values = accuracies[list(QUANTITIES)].to_numpy(dtype=np.float64)
    place = {run_id: row for row, run_id in enumerate(accuracies["run_id"])}
    rows = []
    for key, seeds in groups([run for run in runs if run.id in place]).items():
        row: dict[str, object] = {
            "group": key,
            "title": title_of(seeds),
            "method": seeds[0].method,
            "n": len(seeds),
            "seeds": ", ".join(str(run.seed) for run in seeds),
            "card": in_words(seeds[0].protocol),
            "threat": seeds[0].threat,
        }
        of_seeds = values[[place[run.id] for run in seeds]]
        for name, found in zip(QUANTITIES, of_seeds.T, strict=True):
            low, high = t_interval(found)
            row |= {name: found.mean(), f"{name}_min": found.min(), f"{name}_max": found.max()}
            row |= {f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    return table.assign(front=pareto_front(table[list(MEASURES[measure])].to_numpy()))


def drawn(table: pd.DataFrame, measure: str, *, same_scale: bool) -> pd.DataFrame:
    """Return the points as the chart takes them: what is on the axes is x and y.

    Args:
        table: What `points` returns.
        measure: One of `MEASURES`.
        same_scale: Whether the axes hold the other measure as well.
    """
    shown = MEASURES[measure]
    other = MEASURES["worst" if measure == "average" else "average"] if same_scale else shown
    named: dict[str, pd.Series[float]] = {}
    for axis, name in zip("xy", shown, strict=True):
        named |= {axis: table[name]}
        named |= {f"{axis}_{end}": table[f"{name}_{end}"] for end in ("min", "max", "low", "high")}
    reach = dict(zip(("other_x", "other_y"), (table[name] for name in other), strict=True))
    kept = table[["group", "title", "method", "n", "seeds", "card", "front"]]
    return kept.assign(**named, **reach, size=table["worst_robust"])
