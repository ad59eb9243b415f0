"""How an error of both classes changes with a signed bound."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, plain, register
from app.text.palette import MUTED, class_style


@register("Error by bound", ("class", "class_index", "bound", "value", "current"))
def bound_sweep(table: pd.DataFrame) -> go.Figure:
    """Draw one line per class; where they cross, both pay the same.

    Args:
        table: One row per class and ``bound``; ``value`` is a share of 1, ``current`` the bound in
            force, the same in all rows and NaN where none of the drawn ones is.
    """
    fig = figure(
        280,
        xaxis={"title": {"text": "Bound: anti-adversary below 0, adversary above"}},
        yaxis={"title": {"text": "Error"}, "tickformat": ".0%", "rangemode": "tozero"},
        hovermode="x unified",
    )
    for index, rows in table.groupby("class_index"):
        style = class_style(int(str(index)))
        name = plain(rows["class"].iloc[0])
        fig.add_scatter(
            x=rows["bound"],
            y=rows["value"],
            name=name,
            mode="lines",
            line={
                "color": style.color,
                "dash": "dash" if int(str(index)) % 2 else "solid",
                "width": 2,
            },
            hovertemplate="%{y:.1%}<extra>" + name + "</extra>",
        )
    current = float(table["current"].iloc[0])
    if current == current:  # not NaN
        fig.add_vline(x=current, line={"color": MUTED, "dash": "dot", "width": 2})
    return fig
