"""How robust accuracy falls as the attack's radius grows."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import band, figure, plain, register
from app.text.palette import NATURAL, ROBUST

LINES = {"average": ("Average", NATURAL), "worst": ("Worst class", ROBUST)}


@register("Security curve", ("name", "epsilon", "value", "low", "high", "n", "class"))
def security_curve(table: pd.DataFrame) -> go.Figure:
    """Draw the average and the worst class, each with its interval as a band.

    Args:
        table: One row per line (``average`` or ``worst``) and radius: ``epsilon`` in pixels of
            [0, 1], robust accuracy ``value`` and its interval ``low`` to ``high`` as shares of 1
            over ``n`` images, ``class`` the one that is worst there.
    """
    radii = sorted(table["epsilon"].unique())
    fig = figure(
        320,
        xaxis={
            "title": {"text": "Radius of the attack, in 255ths"},
            "tickvals": [255 * radius for radius in radii],
            "tickformat": ".3~g",
            "rangemode": "tozero",
        },
        yaxis={"title": {"text": "Robust accuracy"}, "tickformat": ".0%", "range": [-0.02, 1.02]},
    )
    for name, (label, style) in LINES.items():
        rows = table[table["name"] == name].sort_values("epsilon")
        x = 255 * rows["epsilon"]
        fig.add_scatter(**band(x, rows, style.color))
        fig.add_scatter(
            x=x,
            y=rows["value"],
            name=label,
            mode="lines+markers",
            line={"color": style.color, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 7},
            customdata=list(zip(rows["class"].map(plain), rows["low"], rows["high"], strict=True)),
            hovertemplate="%{y:.1%} (%{customdata[1]:.1%} to %{customdata[2]:.1%}) %{customdata[0]}"
            "<extra>" + label + "</extra>",
        )
    return fig
