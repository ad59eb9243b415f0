"""What each method's settings trade: an error under attack against the natural error."""

from collections import Counter

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import band, figure, marker, plain, register
from app.text.palette import method_style

COLUMNS = ("family", "method", "part", "title", "x", "y", "low", "high")


@register("Fronts of settings", COLUMNS)
def fronts(table: pd.DataFrame) -> go.Figure:
    """Draw the settings of every family as dots, and its attained front as a line with its band.

    Args:
        table: Rows of part ``point``: a setting called ``title`` with its errors ``x`` (natural)
            and ``y``; and of part ``line``: the front of a family, with the interval ``low`` to
            ``high`` of ``y`` there. Shares of 1; lower left is better.
    """
    fig = figure(
        460,
        xaxis={"title": {"text": "Natural error"}, "tickformat": ".0%"},
        yaxis={"title": {"text": "Error under attack"}, "tickformat": ".0%"},
        hovermode="closest",
    )
    seen: Counter[str] = Counter()
    for family, rows in table.groupby("family", sort=False):
        method = str(rows["method"].iloc[0])
        style = method_style(method, seen[method])
        seen[method] += 1
        line = rows[rows["part"] == "line"]
        if len(line):
            fig.add_scatter(**band(line["x"], line, style.color), legendgroup=plain(family))
            fig.add_scatter(
                x=line["x"],
                y=line["y"],
                mode="lines",
                line={"color": style.color, "dash": style.dash},
                legendgroup=plain(family),
                showlegend=False,
                hovertemplate=f"<b>{plain(family)}</b>, its front: %{{y:.1%}} at %{{x:.1%}}"
                "<extra></extra>",
            )
        dots = rows[rows["part"] == "point"]
        fig.add_scatter(
            x=dots["x"],
            y=dots["y"],
            mode="markers",
            name=plain(family),
            legendgroup=plain(family),
            marker=marker(style),
            customdata=[plain(title) for title in dots["title"]],
            hovertemplate="<b>%{customdata}</b>: natural %{x:.1%}, under attack %{y:.1%}"
            "<extra></extra>",
        )
    return fig
