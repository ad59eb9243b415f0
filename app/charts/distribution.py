"""How a quantity that the method gave each sample is distributed over each class."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, plain, register
from app.text.palette import class_style


@register("Distribution by class", ("class", "class_index", "n", "quantiles"))
def distribution(table: pd.DataFrame) -> go.Figure:
    """Draw the empirical distribution function of every class.

    Args:
        table: One row per class; ``quantiles`` are equally spaced from minimum to maximum, so a
            curve has the same size whatever the number of samples ``n``.
    """
    fig = figure(
        380,
        yaxis={"title": {"text": "Share of the class's samples"}, "tickformat": ".0%"},
        hovermode="closest",
    )
    for row in table.sort_values("class_index").to_dict("records"):
        style = class_style(row["class_index"])
        values = list(row["quantiles"])
        fig.add_scatter(
            x=values,
            y=np.linspace(0, 1, len(values)),
            name=plain(row["class"]),
            mode="lines",
            line={"color": style.color, "dash": style.dash, "width": 2},
            hovertemplate=f"<b>{plain(row['class'])}</b> (n = {row['n']:,}): "
            "%{y:.0%} of the samples at or below %{x:.4g}<extra></extra>",
        )
    return fig
