"""Average ranks over settings, with what is not told apart: the critical difference plot."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import class_axis, figure, marker, plain, register
from app.text.palette import MUTED, method_style

COLUMNS = ("title", "method", "rank", "last_level", "n")


@register("Average ranks", COLUMNS)
def average_ranks(table: pd.DataFrame) -> go.Figure:
    """Draw one row per method, the best on top, and a bar over those not told from it.

    Source: Demsar, JMLR 2006, figure 1; one bar for each method that begins a set of alike ones.

    Args:
        table: One row per method: ``rank`` its average over ``n`` settings, 1 is best;
            ``last_level`` the largest average rank that is not told from it (Nemenyi), NaN where
            that is said by a better method's bar already.
    """
    rows = table.sort_values("rank", ascending=False, ignore_index=True)
    fig = figure(
        110 + 30 * len(rows),
        xaxis={"title": {"text": "Average rank (left: better)"}, "range": [0.8, len(rows) + 0.2]},
        yaxis=class_axis(dict(zip(rows["title"], range(len(rows)), strict=True))),
        hovermode="closest",
        showlegend=False,
    )
    for place, row in enumerate(rows.to_dict("records")):
        if row["last_level"] == row["last_level"]:
            fig.add_scatter(
                x=[row["rank"], row["last_level"]],
                y=[place, place],
                mode="lines",
                line={"color": MUTED, "width": 6},
                hovertemplate=f"not told from {plain(row['title'])}: ranks up to "
                f"{row['last_level']:.2f}<extra></extra>",
            )
    for place, row in enumerate(rows.to_dict("records")):
        fig.add_scatter(
            x=[row["rank"]],
            y=[place],
            mode="markers",
            marker=marker(method_style(str(row["method"]))),
            hovertemplate=f"<b>{plain(row['title'])}</b>: %{{x:.2f}} over {row['n']} settings"
            "<extra></extra>",
        )
    return fig
