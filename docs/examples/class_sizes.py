"""A chart in one file; its place is app/charts/class_sizes.py."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, plain, register
from app.text.palette import PETROFF_10


@register("Images of each class", ("class", "n"))
def class_sizes(table: pd.DataFrame) -> go.Figure:
    """Draw a bar per class.

    Args:
        table: One row per class, ``n`` images each.
    """
    fig = figure(240, yaxis={"title": {"text": "Images"}}, showlegend=False)
    fig.add_bar(
        x=[plain(name) for name in table["class"]],
        y=table["n"],
        marker={"color": PETROFF_10[0]},
        hovertemplate="<b>%{x}</b>: %{y:,.0f}<extra></extra>",
    )
    return fig
