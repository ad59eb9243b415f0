"""Scenarios ranked by one error, with what their seeds say."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import class_axis, figure, marker, plain, register, whiskers
from app.text.format import percent
from app.text.palette import method_style, translucent

COLUMNS = ("rank", "title", "method", "n", "seeds", "value", "low", "high", "values")


@register("Ranking by one error", COLUMNS)
def ranking(table: pd.DataFrame) -> go.Figure:
    """Draw one row per scenario, the smallest error on top.

    Args:
        table: One row per scenario in the order of its ``rank``: ``value`` the mean over ``n``
            seeds, ``low`` to ``high`` its interval (NaN where too few seeds make none), ``values``
            those of the seeds. Shares of 1.
    """
    names = [f"{rank}. {title}" for rank, title in zip(table["rank"], table["title"], strict=True)]
    rows = table.assign(row=range(len(table) - 1, -1, -1))
    fig = figure(
        110 + 34 * len(rows),
        xaxis={"title": {"text": "Error"}, "tickformat": ".0%", "range": _reach(rows)},
        yaxis=class_axis(dict(zip(reversed(names), range(len(names)), strict=True))),
        hovermode="closest",
        showlegend=False,
    )
    for row in rows.to_dict("records"):
        _draw_row(fig, pd.DataFrame([row]))
    return fig


def _draw_row(fig: go.Figure, row: pd.DataFrame) -> None:
    """Draw the mean with its interval, and each seed behind it."""
    first = row.iloc[0]
    style = method_style(str(first["method"]))
    fig.add_scatter(
        x=first["values"],
        y=[first["row"]] * len(first["values"]),
        mode="markers",
        marker={"color": translucent(style.color, 0.5), "size": 7, "symbol": "circle"},
        hovertemplate=f"{plain(first['title'])}, one seed: %{{x:.2%}}<extra></extra>",
    )
    interval = (
        f", 95 % interval {percent(first['low'])} to {percent(first['high'])}"
        if first["low"] == first["low"]
        else ", one seed"
        if first["n"] == 1
        else f", {first['n']} seeds make no interval"
    )
    fig.add_scatter(
        x=row["value"],
        y=row["row"],
        mode="markers",
        marker=marker(style),
        error_x=whiskers(row.fillna({"low": first["value"], "high": first["value"]}), style.color),
        hovertemplate=f"<b>{plain(first['title'])}</b>: mean %{{x:.2%}}{interval}"
        f"<br>seeds {plain(first['seeds'])}<extra></extra>",
    )


def _reach(rows: pd.DataFrame) -> list[float]:
    """Return the axis: it holds every seed and interval."""
    shown = [value for values in rows["values"] for value in values]
    shown += [*rows["low"].dropna(), *rows["high"].dropna()]
    low, high = min(shown), max(shown)
    room = max(0.01, 0.06 * (high - low))
    return [low - room, high + room]
