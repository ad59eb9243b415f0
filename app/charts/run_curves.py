"""One value of several runs over their epochs."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import epoch_axis, figure, line_mode, plain, register
from app.text.palette import DASHES, method_style, translucent


@register("Runs over their epochs", ("title", "method", "variant", "epoch", "value", "smooth"))
def run_curves(table: pd.DataFrame) -> go.Figure:
    """Draw a line per run; where it is smoothed, what was recorded stands faint behind it.

    Args:
        table: One row per run and epoch: ``title`` and ``method`` the run's, ``variant`` its number
            among the runs of that method, ``value`` as recorded, ``smooth`` as drawn.
    """
    fig = figure(
        380,
        hovermode="x unified",
        xaxis={**epoch_axis(table["epoch"]), "rangemode": "tozero"},
        showlegend=True,
    )
    for title, rows in table.groupby("title", sort=False):
        variant = int(rows["variant"].iloc[0])
        style = method_style(str(rows["method"].iloc[0]), variant)
        dash = DASHES[variant % len(DASHES)]
        if not rows["smooth"].equals(rows["value"]):
            fig.add_scatter(
                x=rows["epoch"],
                y=rows["value"],
                mode="lines",
                line={"color": translucent(style.color, 0.3), "width": 1},
                legendgroup=plain(title),
                showlegend=False,
                hoverinfo="skip",
            )
        fig.add_scatter(
            x=rows["epoch"],
            y=rows["smooth"],
            name=plain(title),
            mode=line_mode(rows),
            line={"color": style.color, "dash": dash, "width": 2},
            marker={"symbol": style.symbol, "size": 6},
            legendgroup=plain(title),
            hovertemplate="%{y:.4g}",
        )
    return fig
