"""Charts: the table of them, and what all of them have in common.

A chart takes a table and gives a figure. It knows no page and no database; shares of 1 come in,
and percent signs appear on the axes only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.text.palette import Style, translucent
from engine.registry import Table
from tasks.escaping import for_plotly

CONFIG: dict[str, Any] = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
"""For every figure: nothing leaves this machine."""

MOST_MARKERS = 60
"""Of one line; more run together."""
MAX_CLASSES = 30
"""Rows of one chart: more make none that can be read. The worst are drawn then; tables have all."""
MOST_LINES = 12
"""Lines of classes, or facets, that one chart can hold."""
GRID = "rgba(128, 138, 154, 0.22)"
LEGEND: dict[str, Any] = {
    "orientation": "h",
    "traceorder": "normal",  # else groups stand below each other
    "yanchor": "bottom",
    "y": 1.0,
    "xanchor": "left",
    "x": 0,
}
AXIS: dict[str, Any] = {
    "automargin": True,
    "gridcolor": GRID,
    "zeroline": False,
    "title": {"standoff": 6},
}


@dataclass(frozen=True)
class Chart:
    """One entry of the table.

    Attributes:
        name: The chart's file.
        title: What it shows, for a person.
        columns: The columns that its table must have.
        draw: From the table to the figure; an empty table gives an empty figure that says so.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    draw: Callable[[pd.DataFrame], go.Figure]


CHARTS: Table[Chart] = Table("chart", "app.charts")


def register(
    title: str, columns: tuple[str, ...]
) -> Callable[[Callable[[pd.DataFrame], go.Figure]], Callable[[pd.DataFrame], go.Figure]]:
    """Decorate the one function of a chart's file; the function's name is the chart's."""

    def add(draw: Callable[[pd.DataFrame], go.Figure]) -> Callable[[pd.DataFrame], go.Figure]:
        def guarded(table: pd.DataFrame) -> go.Figure:
            return draw(table) if len(table) else nothing_yet()

        CHARTS.add(draw.__name__, Chart(draw.__name__, title, columns, guarded))
        return draw

    return add


def charts() -> dict[str, Chart]:
    """Return every chart by name."""
    return CHARTS.all()


def figure(height: int, **layout: Any) -> go.Figure:
    """Return an empty figure in the style of all charts."""
    style = {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 28, "b": 8},
        "legend": LEGEND,
        "hoverlabel": {"namelength": -1},
        "bargap": 0.25,
        "xaxis": AXIS,
        "yaxis": AXIS,
    }
    return go.Figure(layout=_merged(style, layout))  # at once: Plotly checks each update anew


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        known = merged.get(name)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            value = _merged(known, value)
        merged[name] = value
    return merged


def nothing_yet() -> go.Figure:
    """Return the figure of an empty table."""
    fig = figure(160, xaxis={"visible": False}, yaxis={"visible": False})
    fig.add_annotation(text="Nothing recorded yet", showarrow=False, x=0.5, y=0.5)
    return fig


plain = for_plotly


def class_axis(order: Mapping[str, int]) -> dict[str, Any]:
    """Return an axis of rows with names: name -> row, counted from below."""
    return {
        "tickmode": "array",
        "tickvals": list(order.values()),
        "ticktext": [plain(name) for name in order],
        "range": [-0.6, len(order) - 0.4],
    }


@dataclass(frozen=True)
class RunRows:
    """Rows of classes in which runs stand side by side, so that no whisker hides another.

    Attributes:
        order: Name of a class -> its row, counted from below.
        runs: Title of each run, and its rows of the table.
    """

    order: Mapping[str, int]
    runs: list[tuple[str, pd.DataFrame]]

    @property
    def height(self) -> int:
        return 130 + (20 + 11 * len(self.runs)) * len(self.order)

    def y(self, rows: pd.DataFrame, place: int) -> "pd.Series[float]":
        """Return where the dots of a run stand, which is so many places from the first."""
        step = min(0.22, 0.72 / len(self.runs))
        return rows["class"].map(self.order) + ((len(self.runs) - 1) / 2 - place) * step


def run_rows(table: pd.DataFrame) -> RunRows:
    """Return the rows of a table of classes and runs, the largest mean ``value`` on top."""
    means = table.groupby("class", sort=False)["value"].mean().sort_values()
    order = {str(name): row for row, name in enumerate(means.index)}
    return RunRows(
        order, [(str(title), rows) for title, rows in table.groupby("title", sort=False)]
    )


def marker(style: Style) -> dict[str, Any]:
    """Return the dot of a style; the dot within a filled shape is white."""
    dotted = style.symbol.endswith("-dot") and "open" not in style.symbol
    line = {"width": 1.5, "color": "white" if dotted else style.color}
    return {"color": style.color, "symbol": style.symbol, "size": 10, "line": line}


def whiskers(rows: pd.DataFrame, color: str) -> dict[str, Any]:
    """Return the whiskers of dots at ``value``, from ``low`` to ``high``."""
    return {
        "type": "data",
        "symmetric": False,
        "array": rows["high"] - rows["value"],
        "arrayminus": rows["value"] - rows["low"],
        "color": color,
        "thickness": 1.5,
        "width": 3,
    }


def band(x: "pd.Series[Any]", rows: pd.DataFrame, color: str) -> dict[str, Any]:
    """Return the area around a line, from ``low`` to ``high``."""
    return {
        "x": pd.concat([x, x.iloc[::-1]]),
        "y": pd.concat([rows["high"], rows["low"].iloc[::-1]]),
        "mode": "lines",
        "fill": "toself",
        "fillcolor": translucent(color, 0.14),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def line_mode(rows: "pd.DataFrame | pd.Series[Any]") -> str:
    """Return how a line over epochs is drawn: with its points while they can be told apart."""
    return "lines" if len(rows) > MOST_MARKERS else "lines+markers"


def epoch_axis(epochs: "pd.Series[Any]") -> dict[str, Any]:
    """Return an axis of epochs, whose ticks are whole numbers also when there are few."""
    few = len(epochs) > 0 and epochs.max() <= 10
    return {"title": {"text": "Epoch"}, "tickformat": "d", "dtick": 1 if few else None}
