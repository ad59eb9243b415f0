"""One error of every class, run beside run, with its intervals."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import class_axis, figure, marker, plain, register, run_rows, whiskers
from app.text.palette import method_style

COLUMNS = ("class", "title", "method", "variant", "value", "low", "high", "n", "card")


@register("Error by class and run", COLUMNS)
def class_comparison(table: pd.DataFrame) -> go.Figure:
    """Draw a dot and whisker per class and run, the class with the largest mean error on top.

    Args:
        table: One row per class and run: ``class`` its name, ``title`` and ``method`` the run's,
            ``variant`` its number among the runs of that method, ``value`` and its interval
            ``low`` to ``high`` as shares of 1, ``n`` samples, ``card`` the protocol.
    """
    side_by_side = run_rows(table)
    fig = figure(
        side_by_side.height,
        xaxis={"title": {"text": "Error"}, "tickformat": ".0%", "range": [-0.01, 1.01]},
        yaxis=class_axis(side_by_side.order),
    )
    for place, (title, rows) in enumerate(side_by_side.runs):
        style = method_style(rows["method"].iloc[0], int(rows["variant"].iloc[0]))
        fig.add_scatter(
            x=rows["value"],
            y=side_by_side.y(rows, place),
            name=plain(title),
            mode="markers",
            marker=marker(style),
            error_x=whiskers(rows, style.color),
            customdata=[
                [plain(name), low, high, n, plain(card)]
                for name, low, high, n, card in rows[
                    ["class", "low", "high", "n", "card"]
                ].itertuples(index=False)
            ],
            hovertemplate="<b>%{customdata[0]}</b>: %{x:.1%} (%{customdata[1]:.1%} to "
            "%{customdata[2]:.1%}, n = %{customdata[3]})<br>%{customdata[4]}"
            f"<extra>{plain(title)}</extra>",
        )
    return fig
