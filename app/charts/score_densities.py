"""Where the classes' scores lie, where the boundary stands, and how far an attack reaches."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, plain, register
from app.text.palette import MUTED, ROBUST, class_style, translucent

COLUMNS = ("class", "class_index", "score", "density", "trained", "boundary", "reach")


@register("Scores of both classes", COLUMNS)
def score_densities(table: pd.DataFrame) -> go.Figure:
    """Draw each class's density, as it is and as training saw it, with the boundary.

    Args:
        table: One row per class and ``score``; ``density`` and ``trained`` are times the prior,
            ``boundary`` (NaN: none) and ``reach`` are scores, the same in all rows.
    """
    fig = figure(
        300,
        xaxis={"title": {"text": "Score w·x; called - left of the boundary, + right of it"}},
        yaxis={"title": {"text": "Density, by prior"}, "rangemode": "tozero"},
        hovermode="x",
    )
    for index, rows in table.groupby("class_index"):
        style = class_style(int(str(index)))
        name = plain(rows["class"].iloc[0])
        fig.add_scatter(
            x=rows["score"],
            y=rows["density"],
            name=name,
            mode="lines",
            line={"color": style.color, "dash": style.dash, "width": 2},
            fill="tozeroy",
            fillcolor=translucent(style.color, 0.16),
            hovertemplate="%{y:.3f}<extra>" + name + "</extra>",
        )
        if (rows["trained"] - rows["density"]).abs().max() > 1e-9:
            fig.add_scatter(
                x=rows["score"],
                y=rows["trained"],
                name=f"{name}, moved",
                mode="lines",
                line={"color": style.color, "dash": "dot", "width": 2},
                hoverinfo="skip",
            )
    boundary = float(table["boundary"].iloc[0])
    if boundary == boundary:  # NaN: one answer for every score
        _add_boundary(
            fig, boundary, float(table["reach"].iloc[0]), top=float(table["density"].max())
        )
    return fig


def _add_boundary(fig: go.Figure, boundary: float, reach: float, *, top: float) -> None:
    fig.add_vrect(
        x0=boundary - reach,
        x1=boundary + reach,
        fillcolor=translucent(ROBUST.color, 0.16),
        line_width=0,
        layer="below",
    )
    fig.add_scatter(
        x=[boundary, boundary],
        y=[0, 1.06 * top],
        name="Boundary",
        mode="lines",
        line={"color": MUTED, "width": 3},
        hoverinfo="skip",
    )
