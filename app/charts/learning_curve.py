"""One panel of a run's history: a few series over the epochs."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import band, epoch_axis, figure, line_mode, register
from app.text.labels import metric
from app.text.palette import PETROFF_10, SERIES, Style, translucent

FADED = {"batch_loss"}
"""Series that give the scale of the noise, behind the others."""


@register("Learning curves", ("name", "epoch", "value", "low", "high"))
def learning_curve(table: pd.DataFrame) -> go.Figure:
    """Draw each series as a line, with its interval as a band where it has one.

    Args:
        table: One row per series ``name`` and point; ``epoch`` may be a fraction, ``low`` and
            ``high`` are NaN where a value has no interval.
    """
    fig = figure(
        240,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        hovermode="x unified",
        xaxis={**epoch_axis(table["epoch"]), "rangemode": "tozero"},
        showlegend=True,
    )
    for name, rows in table.groupby("name", sort=False):
        style = SERIES.get(str(name), Style(PETROFF_10[0], "circle", "solid"))
        known = rows.dropna(subset=["low", "high"])
        if len(known) > 1:
            area = band(known["epoch"], known, style.color)
            fig.add_scatter(**area, uid=f"{name}-band", legendgroup=str(name))
        faded = name in FADED
        fig.add_scatter(
            x=rows["epoch"],
            y=rows["value"],
            name=metric(str(name)),
            uid=str(name),
            mode="lines" if faded else line_mode(rows),
            line={
                "color": translucent(style.color, 0.55) if faded else style.color,
                "dash": style.dash,
                "width": 1 if faded else 2,
            },
            marker={"symbol": style.symbol, "size": 5},
            legendgroup=str(name),
            cliponaxis=False,
        )
    return fig
