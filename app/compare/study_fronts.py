"""Fronts of a study's methods: worst-class robust error at equal natural error, with intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.compare.study import StudyTable
from engine.evaluation.bootstrap import ClassWise, drawn_images, drawn_seeds, errors_in, interval
from engine.evaluation.fronts import at, attained, hypervolume
from engine.evaluation.statistics import Floats

Outcomes = Mapping[str, npt.NDArray[Any]]
FloatDraws = npt.NDArray[np.float32]
TIMES = 500
"""Draws of seeds and images."""
STEPS = 40
"""Places at which a front is drawn."""
SEED = 0
"""Of the draws, so that a page says the same each time."""
OVER = {"robust_error": "average", "worst_robust_error": "worst"}
"""What may stand on the second axis."""


@dataclass(frozen=True)
class Points:
    """The rows of a table as points, in the data and in every draw.

    Attributes:
        rows: title, family, method of each, K rows.
        mean: (K, 2) natural error and the other one, mean over common seeds.
        drawn: (B, K, 2) the same in each draw of seeds and test images.
        seeds: The common seeds.
        left_out: Titles without what is needed.
    """

    rows: pd.DataFrame
    mean: Floats
    drawn: Floats
    seeds: list[int]
    left_out: list[str]


def points(
    table: StudyTable, name: str, outcomes: Callable[[str], Outcomes | None]
) -> Points | None:
    """Return a table's rows as points; None where not two have a seed in common.

    Args:
        table: One scenario.
        name: One of `OVER`.
        outcomes: Run id -> what its model said of its test images: sample, label, clean, attacked.
    """
    records = table.rows.to_dict("records")
    found = {i: said for row in records for i in row["runs"] if (said := outcomes(i)) is not None}
    known = [row for row in records if found.keys() >= set(row["runs"])]
    seeds = [dict(zip(_seeds(row), row["runs"], strict=True)) for row in known]
    common = sorted(set.intersection(*map(set, seeds))) if seeds else []
    if len(known) < 2 or not common:
        return None
    of_seeds = [[found[runs[seed]] for runs in seeds] for seed in common]
    rows = pd.DataFrame(known)[["title", "family", "method"]]
    left_out = [row["title"] for row in records if row not in known]
    return Points(rows, *_drawn(of_seeds, name), common, left_out)


def _seeds(row: Mapping[Any, Any]) -> list[int]:
    return [int(seed) for seed in row["seeds"].split(", ")]


def _drawn(of_seeds: Sequence[Sequence[Outcomes]], name: str) -> tuple[Floats, Floats]:
    """Return the mean over seeds, (K, 2), and in every draw of seeds and images, (B, K, 2).

    Seeds that were tested on the same images share each draw of them; seeds with images of their
    own have a draw of their own, each time that they are drawn.
    """
    rng = np.random.default_rng(SEED)
    num_seeds = len(of_seeds)
    samples = [found[0]["sample"] for found in of_seeds]
    same = all(np.array_equal(one, samples[0]) for one in samples)
    times = TIMES if same else TIMES * num_seeds
    shared = _draws(of_seeds[0], times, rng) if same else None
    drawn = [
        _points_in(found, name, _draws(found, times, rng) if shared is None else shared)
        for found in of_seeds
    ]
    whole = [
        _points_in(found, name, np.ones((len(found[0]["label"]), 1), np.float32))
        for found in of_seeds
    ]
    chosen = drawn_seeds(num_seeds, times=TIMES, rng=rng)  # (B, S)
    first = np.arange(TIMES)[:, None]
    places = first if same else first * num_seeds + np.arange(num_seeds)
    return np.mean(whole, axis=0)[0], np.stack(drawn)[chosen, places].mean(axis=1)


def _draws(found: Sequence[Outcomes], times: int, rng: np.random.Generator) -> FloatDraws:
    label = found[0]["label"].astype(np.int64)
    return drawn_images(label, int(label.max()) + 1, times=times, rng=rng)


def _points_in(found: Sequence[Outcomes], name: str, draws: FloatDraws) -> Floats:
    """Return the points of one seed in draws of its test images, (B, K, 2).

    Runs of one scenario and seed were all shown the same images.
    """
    label = found[0]["label"].astype(np.int64)
    num_classes = int(label.max()) + 1
    natural = np.stack([one["clean"] != label for one in found])
    robust = np.stack([one["attacked"] != label for one in found])
    first = errors_in(draws, label, natural, num_classes=num_classes).average
    second = _measure(errors_in(draws, label, robust, num_classes=num_classes), name)
    return np.stack([first, second], axis=-1).swapaxes(0, 1)


def _measure(errors: ClassWise, name: str) -> Floats:
    return errors.worst if OVER[name] == "worst" else errors.average


def names_of(found: Points) -> list[str]:
    """Return the families, in the order of the file."""
    return list(dict.fromkeys(found.rows["family"]))


def common_level(found: Points) -> float:
    """Return the least natural error that every family reaches."""
    fronts = [attained(found.mean[members]) for members in _members(found).values()]
    return float(max(front[0, 0] for front in fronts))


def compared(found: Points, level: float) -> pd.DataFrame:
    """Return one row per family: what its front says at one natural error, and in all.

    Columns: family, settings, value, low, high (the second error there; NaN left of the front),
    volume, volume_low, volume_high, and gap, gap_low, gap_high: how much larger the error is than
    that of the best family, in the same draws. The best is first.
    """
    rows, drawn = [], {}
    for family, members in _members(found).items():
        front = attained(found.mean[members])
        moved = [attained(draw[members]) for draw in found.drawn]
        there = np.array([float(at(one, level)) for one in moved])
        volumes = [hypervolume(one) for one in moved]
        drawn[family] = there
        low, high = interval(there)
        least, most = interval(volumes)
        row = {"family": family, "settings": len(members), "value": float(at(front, level))}
        row |= {"low": low, "high": high, "volume": hypervolume(front)}
        rows.append(row | {"volume_low": least, "volume_high": most})
    table = pd.DataFrame(rows).sort_values("value", ignore_index=True)
    best = table["family"].iloc[0]
    gaps = [interval(drawn[family] - drawn[best]) for family in table["family"]]
    return table.assign(
        gap=table["value"] - table["value"].iloc[0],
        gap_low=[low for low, _ in gaps],
        gap_high=[high for _, high in gaps],
    )


def lines(found: Points) -> pd.DataFrame:
    """Return what the chart draws: family, method, part (point or line), title, x, y, low, high."""
    rows: list[dict[str, object]] = []
    for family, members in _members(found).items():
        method = found.rows["method"].iloc[members[0]]
        same = {"family": family, "method": method}
        for place in members:
            x, y = found.mean[place]
            rows.append(
                {**same, "part": "point", "title": found.rows["title"].iloc[place]}
                | {"x": x, "y": y, "low": y, "high": y}
            )
        if len(members) < 2:
            continue
        front = attained(found.mean[members])
        x_s = np.linspace(front[0, 0], front[-1, 0], STEPS)
        moved = np.stack([at(attained(draw[members]), x_s) for draw in found.drawn])
        for x, y, values in zip(x_s, at(front, x_s), moved.T, strict=True):
            low, high = interval(values)
            rows.append(
                {**same, "part": "line", "title": family}
                | {
                    "x": x,
                    "y": y,
                    "low": y if low != low else low,
                    "high": y if high != high else high,
                }
            )
    return pd.DataFrame(rows)


def _members(found: Points) -> dict[str, list[int]]:
    """Return which rows are of each family."""
    members: dict[str, list[int]] = {}
    for place, family in enumerate(found.rows["family"]):
        members.setdefault(family, []).append(place)
    return members
