"""Natural against robust accuracy: one point per scenario, and what no other point beats."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, plain, register
from app.text.format import percent
from app.text.palette import MUTED, method_style

COLUMNS = (
    *("group", "title", "method", "n", "seeds", "card", "front", "size", "other_x", "other_y"),
    *("x", "x_min", "x_max", "x_low", "x_high", "y", "y_min", "y_max", "y_low", "y_high"),
)
MARGIN = 0.03
LONGEST = 26


@register("Natural against robust accuracy", COLUMNS)
def tradeoff(table: pd.DataFrame) -> go.Figure:
    """Draw the points with whiskers from the smallest to the largest seed, and the Pareto front.

    Args:
        table: One row per scenario: ``x`` natural and ``y`` robust accuracy, the mean over ``n``
            seeds, each with ``_min``, ``_max`` and the interval ``_low`` to ``_high`` of the mean
            (NaN for less than 3); ``size`` the worst class's robust accuracy; ``front`` whether no
            other point is as good in both; ``other_x`` and ``other_y`` what the axes have to hold
            as well. Shares of 1.
    """
    fig = figure(
        520,
        margin={"l": 8, "r": 12, "t": 64, "b": 8},
        xaxis=_axis("Natural accuracy", table[["x_min", "x_max", "other_x"]]),
        yaxis=_axis("Robust accuracy", table[["y_min", "y_max", "other_y"]]),
        hovermode="closest",
        dragmode="pan",
        clickmode="event+select",
    )
    _draw_front(fig, table[table["front"].astype(bool)])
    for method, rows in table.groupby("method"):
        style = method_style(str(method))
        fig.add_scatter(
            x=rows["x"],
            y=rows["y"],
            name=plain(method),
            mode="markers+text",
            text=[
                plain(_short(title)) if front else ""
                for title, front in rows[["title", "front"]].itertuples(index=False)
            ],
            textposition="top right",
            error_x=_seeds(rows, "x", style.color),
            error_y=_seeds(rows, "y", style.color),
            marker={
                "color": style.color,
                "symbol": style.symbol,
                "size": 8 + 16 * rows["size"].clip(0, 1),
                "opacity": [1.0 if front else 0.6 for front in rows["front"]],
                "line": {"width": 1, "color": MUTED},
            },
            # What is not chosen stays readable, not nearly gone as Plotly has it.
            unselected={"marker": {"opacity": 0.5}, "textfont": {"color": MUTED}},
            cliponaxis=False,
            customdata=[_hover(row) for row in rows.to_dict("records")],
            hovertemplate="<b>%{customdata[1]}</b>, %{customdata[2]}<br>"
            "natural %{x:.1%}%{customdata[3]}<br>robust %{y:.1%}%{customdata[4]}<br>"
            "worst class, robust: %{customdata[5]:.1%}<br>%{customdata[6]}"
            f"<extra>{plain(method)}</extra>",
        )
    return fig


def _axis(title: str, values: pd.DataFrame) -> dict[str, Any]:
    low, high = float(values.min().min()), float(values.max().max())
    room = max(MARGIN, 0.08 * (high - low))
    return {
        "title": {"text": title, "standoff": 16},
        "tickformat": ".0%",
        "range": [low - room, high + room],
    }


def _draw_front(fig: go.Figure, front: pd.DataFrame) -> None:
    """Draw the edge of what the front dominates: a stair down and to the right."""
    stairs = front.sort_values("x")
    left, bottom = fig.layout.xaxis.range[0], fig.layout.yaxis.range[0]
    fig.add_scatter(
        x=[left, *stairs["x"], stairs["x"].iloc[-1]],
        y=[stairs["y"].iloc[0], *stairs["y"], bottom],
        name="Pareto front",
        mode="lines",
        line={"color": MUTED, "width": 1.5, "dash": "dot", "shape": "vh"},
        hoverinfo="skip",
    )


def _seeds(rows: pd.DataFrame, axis: str, color: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": rows[f"{axis}_max"] - rows[axis],
        "arrayminus": rows[axis] - rows[f"{axis}_min"],
        "color": color,
        "thickness": 1.5,
        "width": 4,
    }


def _hover(row: Mapping[Any, Any]) -> list[object]:
    seeds = f"seeds {row['seeds']}" if row["n"] != 1 else f"one seed ({row['seeds']})"
    intervals = [_interval(row, axis) for axis in "xy"]
    title, card = plain(row["title"]), plain(row["card"])
    return [row["group"], title, seeds, *intervals, row["size"], card]


def _interval(row: Mapping[Any, Any], axis: str) -> str:
    low, high = row[f"{axis}_low"], row[f"{axis}_high"]
    return "" if low != low else f" (95 % interval {percent(low)} to {percent(high)})"


def _short(title: object) -> str:
    text = str(title)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
