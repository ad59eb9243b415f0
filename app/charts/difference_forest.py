"""How much more each method errs than a reference, over common seeds: a forest plot."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import class_axis, figure, marker, plain, register, whiskers
from app.text.format import count
from app.text.palette import MUTED, method_style

COLUMNS = ("title", "method", "value", "low", "high", "corrected", "differs", "n")
FAINT = 0.35


@register("Difference to a method over seeds", COLUMNS)
def difference_forest(table: pd.DataFrame) -> go.Figure:
    """Draw one row per method around the reference's zero, the smallest on top; chance is faint.

    Args:
        table: One row per method: ``value`` the mean difference over ``n`` common seeds, ``low`` to
            ``high`` its interval (NaN for one seed), ``corrected`` the p-value after correction
            (NaN where there is no test) and ``differs`` whether it is small enough. Shares of 1.
    """
    ordered = table.sort_values("value", ascending=False, ignore_index=True)
    fig = figure(
        110 + 30 * len(ordered),
        xaxis={
            "title": {"text": "Error less the reference's (left: better)"},
            "tickformat": "+.0%",
        },
        yaxis=class_axis(dict(zip(ordered["title"], range(len(ordered)), strict=True))),
        hovermode="closest",
        showlegend=False,
    )
    fig.add_vline(x=0, line={"color": MUTED, "width": 1.5})
    for place, row in enumerate(ordered.to_dict("records")):
        _draw_row(fig, pd.DataFrame([row]), place)
    return fig


def _draw_row(fig: go.Figure, row: pd.DataFrame, place: int) -> None:
    first = row.iloc[0]
    style = method_style(str(first["method"]))
    tested = first["corrected"] == first["corrected"]
    p_value = f"corrected p = {first['corrected']:.3g}" if tested else "no test"
    has_interval = first["low"] == first["low"]
    interval = f" ({first['low']:+.2%} to {first['high']:+.2%})" if has_interval else ""
    fig.add_scatter(
        x=row["value"],
        y=[place],
        mode="markers",
        opacity=1 if first["differs"] else FAINT,
        marker=marker(style),
        error_x=whiskers(row.fillna({"low": first["value"], "high": first["value"]}), style.color),
        hovertemplate=f"<b>{plain(first['title'])}</b>: %{{x:+.2%}}{interval}<br>{p_value}, "
        f"{count(int(first['n']), 'common seed')}<extra></extra>",
    )
