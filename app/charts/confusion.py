"""Which class is taken for which: without an attack, under it, and what the attack changes."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from app.charts.base import AXIS, figure, plain, register
from app.text.palette import DIVERGING, SEQUENTIAL

PANELS = {"clean": "Clean", "attacked": "Under attack", "difference": "Difference"}
FEW = 12
"""More classes than this leave no room for numbers in the cells."""


@register(
    "Confusion of classes",
    ("class", "class_index", "said", "said_index", "n", "clean", "attacked", "difference"),
)
def confusion(table: pd.DataFrame) -> go.Figure:
    """Draw three heatmaps side by side, a row for each true class.

    Args:
        table: One row per pair of classes; ``clean``, ``attacked`` and ``difference`` are shares of
            the class's ``n`` images, the last one between -1 and 1. No cell is drawn where it
            rounds to 0 percent.
    """
    names = table.drop_duplicates("class_index").set_index("class_index")["class"].map(plain)
    said = table.drop_duplicates("said_index").set_index("said_index")["said"].map(plain)
    fig = figure(130 + max(24 * len(names), 160))
    fig.set_subplots(
        rows=1,
        cols=len(PANELS),
        shared_yaxes=True,
        horizontal_spacing=0.02,
        subplot_titles=list(PANELS.values()),
    )
    for column, (panel, title) in enumerate(PANELS.items(), start=1):
        grid = table.pivot_table(index="class_index", columns="said_index", values=panel)
        fig.add_heatmap(
            z=_changed(grid) if panel == "difference" else grid.to_numpy(),
            x=[said[index] for index in grid.columns],
            y=[names[index] for index in grid.index],
            text=_numbers(grid, signed=panel == "difference") if len(names) <= FEW else None,
            texttemplate="%{text}",
            **_scale(signed=panel == "difference"),
            hovertemplate="<b>%{y}</b> taken for <b>%{x}</b>: %{z:.1%}<extra>" + title + "</extra>",
            row=1,
            col=column,
        )
    fig.update_xaxes(**AXIS | {"type": "category", "showgrid": False})
    fig.update_yaxes(**AXIS | {"type": "category", "autorange": "reversed", "showgrid": False})
    fig.update_xaxes(title={"text": "Taken for", "standoff": 6}, row=1, col=2)
    return fig


def _changed(grid: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the differences that are worth a colour; the others are NaN, which has none."""
    found: npt.NDArray[np.float64] = grid.where((100 * grid).round() != 0).to_numpy()
    return found


def _scale(*, signed: bool) -> dict[str, Any]:
    """Return colours on a fixed scale, so that runs compare; half a class is much to change."""
    return {
        "zmin": -0.5 if signed else 0,
        "zmax": 0.5 if signed else 1,
        "colorscale": DIVERGING if signed else SEQUENTIAL,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }


def _numbers(grid: pd.DataFrame, *, signed: bool) -> list[list[str]]:
    """Write percentages for the cells; what rounds to nothing stays empty."""
    write = "{:+.0f}".format if signed else "{:.0f}".format
    return [
        [write(100 * value) if round(100 * value) else "" for value in row]
        for row in grid.to_numpy()
    ]
