"""What each characteristic of a sample adds to its weight."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, register
from app.text.labels import quantity as name_of
from app.text.palette import PETROFF_10


@register("Why this weight?", ("name", "contribution", "value", "mean"))
def weight_contributions(table: pd.DataFrame) -> go.Figure:
    """Draw a bar per characteristic, the largest on top: to the right it raises the weight.

    Args:
        table: One row per characteristic: its ``contribution``, the sample's ``value`` and the
            ``mean`` of its class.
    """
    ordered = table.sort_values("contribution", key=abs, kind="stable")
    rises = ordered["contribution"] > 0
    fig = figure(
        60 + 30 * len(ordered),
        xaxis={"title": {"text": "Adds to the weight"}, "zeroline": True, "tickformat": "+.3~g"},
        yaxis={"type": "category", "showgrid": False},
        showlegend=False,
    )
    fig.add_bar(
        x=ordered["contribution"],
        y=[name_of(name) for name in ordered["name"]],
        orientation="h",
        marker={
            "color": [PETROFF_10[0] if up else PETROFF_10[6] for up in rises],
            "pattern": {"shape": ["" if up else "/" for up in rises]},
        },
        customdata=ordered[["value", "mean"]],
        hovertemplate="<b>%{y}</b>: %{x:+.4f}<br>%{customdata[0]:.4g}, mean of the class "
        "%{customdata[1]:.4g}<extra></extra>",
    )
    return fig
