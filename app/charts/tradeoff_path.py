"""How runs came to where they are: natural against robust accuracy, epoch by epoch."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, plain, register
from app.text.palette import method_style


@register(
    "Natural against robust accuracy by epoch", ("title", "method", "variant", "epoch", "x", "y")
)
def tradeoff_path(table: pd.DataFrame) -> go.Figure:
    """Draw a line per run through its epochs; the last one is the largest dot.

    Args:
        table: One row per run and epoch: ``x`` natural and ``y`` robust accuracy as shares of 1,
            ``title`` and ``method`` the run's, ``variant`` its number among those of the method.
    """
    fig = figure(
        460,
        margin={"l": 8, "r": 12, "t": 64, "b": 8},
        xaxis={"title": {"text": "Natural accuracy", "standoff": 16}, "tickformat": ".0%"},
        yaxis={"title": {"text": "Robust accuracy", "standoff": 16}, "tickformat": ".0%"},
        hovermode="closest",
        showlegend=True,
    )
    for title, rows in table.sort_values("epoch").groupby("title", sort=False):
        style = method_style(rows["method"].iloc[0], int(rows["variant"].iloc[0]))
        fig.add_scatter(
            x=rows["x"],
            y=rows["y"],
            name=plain(title),
            mode="lines+markers",
            line={"color": style.color, "dash": style.dash, "width": 1.5},
            marker={"symbol": style.symbol, "size": [5] * (len(rows) - 1) + [13]},
            customdata=rows["epoch"],
            hovertemplate="epoch %{customdata}: natural %{x:.1%}, robust %{y:.1%}"
            f"<extra>{plain(title)}</extra>",
        )
    return fig
