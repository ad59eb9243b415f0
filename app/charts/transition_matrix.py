"""Where label noise moves labels."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, plain, register

SHADES = ((0.0, "#b9d3ef"), (1.0, "#134a8e"))
"""From little to all; what never happens stays empty."""


@register("Label noise", ("true", "given", "probability"))
def transition_matrix(table: pd.DataFrame) -> go.Figure:
    """Draw P(given label | true label), a row for each true label.

    Args:
        table: One row per pair of classes, in the order of the classes.
    """
    names = [plain(name) for name in dict.fromkeys(table["true"])]
    values = table["probability"].to_numpy().reshape(len(names), len(names))
    few = len(names) <= 12
    fig = figure(
        330,
        xaxis={"title": {"text": "Given label"}, "type": "category", "showgrid": False},
        yaxis={
            "title": {"text": "True label"},
            "type": "category",
            "autorange": "reversed",
            "showgrid": False,
        },
    )
    fig.add_heatmap(
        z=np.where(values > 0, values, np.nan),
        x=names,
        y=names,
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        colorscale=SHADES,
        colorbar={"tickformat": ".0%", "thickness": 12, "outlinewidth": 0},
        text=[[f"{100 * p:.0f}" if p else "" for p in row] for row in values] if few else None,
        texttemplate="%{text}" if few else None,
        hovertemplate="True <b>%{y}</b>, given <b>%{x}</b>: %{z:.1%}<extra></extra>",
    )
    return fig
