"""Aggregates over samples and classes: plain arrays and tables in, small tables out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.data.cached import Columns

Array = npt.NDArray[Any]
Range = tuple[float, float]

CELLS = 40
"""Of a density, along each axis."""
BINS = 20
"""Of equally many samples, along a characteristic."""
POINTS = 160
"""Of a pooled distribution function."""
LONG_TAIL = 2.0
"""Classes are called head and tail where the largest has so many times the smallest's samples."""


@dataclass(frozen=True)
class Filter:
    """Which samples are meant; empty or None is all of them."""

    labels: str = "all"
    """all, clean or flipped"""
    classes: tuple[int, ...] = ()
    """Of the given label."""
    trait: str = ""
    trait_range: Range | None = None
    quantity: str = ""
    quantity_range: Range | None = None


def rows_of(columns: Columns, wanted: Filter) -> Array:
    """Return the places (n,) of the samples that meet a filter, ascending; ends are inclusive."""
    given = columns["given_label"]
    kept = np.ones(len(given), dtype=bool)
    if wanted.labels != "all":
        kept &= (given == columns["true_label"]) == (wanted.labels == "clean")
    if wanted.classes:
        kept &= np.isin(given, wanted.classes)
    for name, limits in (
        (wanted.trait, wanted.trait_range),
        (wanted.quantity, wanted.quantity_range),
    ):
        if limits is not None:
            kept &= (columns[name] >= limits[0]) & (columns[name] <= limits[1])
    return np.flatnonzero(kept)


def sizes(counts: Sequence[int]) -> list[str]:
    """Return ``head`` or ``tail`` for each class, or nothing where the classes are about alike.

    The larger half of the classes is the head; of an odd number the middle one belongs to it.
    """
    known = np.asarray(counts)
    if len(known) < 2 or known.max() < LONG_TAIL * max(known.min(), 1):
        return []
    is_head = np.zeros(len(known), dtype=bool)
    is_head[np.argsort(-known, kind="stable")[: (len(known) + 1) // 2]] = True
    return ["head" if head else "tail" for head in is_head]


def share_at_or_below(quantiles: Array, values: Array) -> Array:
    """Return the distribution function (n,) that equally spaced quantiles (Q,) describe.

    It is straight between two quantiles, and jumps where several are equal.
    """
    place = np.searchsorted(quantiles, values, side="right")
    low = np.clip(place - 1, 0, len(quantiles) - 2)
    width = quantiles[low + 1] - quantiles[low]
    within = np.divide(values - quantiles[low], width, out=np.ones(len(values)), where=width > 0)
    shares: Array = (low + np.clip(within, 0, 1)) / (len(quantiles) - 1)
    return np.where(place == 0, 0.0, np.where(place == len(quantiles), 1.0, shares))


def pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the distribution function over several classes: value and share, `POINTS` rows.

    Each class counts by its ``n``; the classes' own ``quantiles`` are all that is known of them.
    """
    known = np.array(rows["quantiles"].tolist(), dtype=np.float64)
    values = np.unique(np.quantile(known, np.linspace(0, 1, POINTS)))
    weights = rows["n"].to_numpy() / rows["n"].sum()
    shares = sum(w * share_at_or_below(q, values) for w, q in zip(weights, known, strict=True))
    start = {"value": values[0], "share": 0.0}
    return pd.concat(
        [pd.DataFrame([start]), pd.DataFrame({"value": values, "share": shares})],
        ignore_index=True,
    )


def mean_of(rows: pd.DataFrame) -> float:
    """Return the mean over all samples of the classes in a table of means and counts."""
    return float((rows["mean"] * rows["n"]).sum() / rows["n"].sum())


def density(x: Array, y: Array) -> pd.DataFrame:
    """Return how many samples lie in each of `CELLS` x `CELLS` cells: x, y (centres), n."""
    n, x_edges, y_edges = np.histogram2d(x, y, bins=CELLS)
    centre_x, centre_y = (x_edges[1:] + x_edges[:-1]) / 2, (y_edges[1:] + y_edges[:-1]) / 2
    grid_y, grid_x = np.meshgrid(centre_y, centre_x)
    return pd.DataFrame({"x": grid_x.ravel(), "y": grid_y.ravel(), "n": n.ravel().astype(np.int64)})


def binned(x: Array, y: Array) -> pd.DataFrame:
    """Return y over bins of x with about equally many samples: x (mean), y (mean), low, high, n.

    ``low`` and ``high`` are the 10th and the 90th percentile of y in the bin.
    """
    edges = np.unique(np.quantile(x, np.linspace(0, 1, BINS + 1)))
    place = np.searchsorted(edges[1:-1], x, side="right")
    order = np.argsort(place, kind="stable")
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(place[order])) + 1):
        low, high = np.quantile(y[rows], [0.1, 0.9])
        found.append((x[rows].mean(), y[rows].mean(), low, high, len(rows)))
    return pd.DataFrame(found, columns=["x", "y", "low", "high", "n"])


def table_of(columns: Columns, rows: Array, names: Sequence[str]) -> pd.DataFrame:
    """Return chosen samples, one row each: who they are, then all that was recorded of them."""
    first = ["sample", "given_label", "true_label"]
    order = first + [name for name in columns if name not in first]
    table = pd.DataFrame({name: columns[name][rows] for name in order})
    known = dict(enumerate(names))
    for label in ("given_label", "true_label"):
        named = table[label].map(known).fillna(table[label].astype(str))
        table.insert(int(table.columns.get_loc(label)), label.replace("label", "class"), named)  # type: ignore[arg-type]
    return table
