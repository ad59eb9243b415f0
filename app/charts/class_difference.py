"""How much more each class errs than in a baseline run, with intervals and tests."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import class_axis, figure, marker, plain, register, run_rows, whiskers
from app.text.palette import MUTED, method_style

COLUMNS = (
    *("class", "title", "method", "variant", "value", "low", "high"),
    *("corrected", "differs", "n"),
)
FAINT = 0.35


@register("Difference to a baseline by class", COLUMNS)
def class_difference(table: pd.DataFrame) -> go.Figure:
    """Draw a dot and whisker per class and run around the baseline's zero; chance is faint.

    Args:
        table: One row per class and run: ``class`` its name, ``title`` and ``method`` the run's,
            ``variant`` its number among the runs of that method, ``value`` the difference of two
            shares and its interval ``low`` to ``high``, ``corrected`` the p-value after
            correction and ``differs`` whether it is small enough, ``n`` images.
    """
    side_by_side = run_rows(table)
    fig = figure(
        side_by_side.height,
        xaxis={
            "title": {"text": "Error less the baseline's (left: better)"},
            "tickformat": "+.0%",
        },
        yaxis=class_axis(side_by_side.order),
    )
    fig.add_vline(x=0, line={"color": MUTED, "width": 1.5})
    for place, (title, rows) in enumerate(side_by_side.runs):
        style = method_style(rows["method"].iloc[0], int(rows["variant"].iloc[0]))
        for sure, part in rows.groupby(rows["differs"].astype(bool)):
            fig.add_scatter(
                x=part["value"],
                y=side_by_side.y(part, place),
                name=plain(title),
                legendgroup=plain(title),
                showlegend=bool(sure) or not rows["differs"].any(),
                mode="markers",
                opacity=1 if sure else FAINT,
                marker=marker(style),
                error_x=whiskers(part, style.color),
                customdata=[
                    [plain(name), low, high, p, n]
                    for name, low, high, p, n in part[
                        ["class", "low", "high", "corrected", "n"]
                    ].itertuples(index=False)
                ],
                hovertemplate="<b>%{customdata[0]}</b>: %{x:+.1%} (%{customdata[1]:+.1%} to "
                "%{customdata[2]:+.1%}, n = %{customdata[4]})<br>corrected p = "
                f"%{{customdata[3]:.3g}}<extra>{plain(title)}</extra>",
            )
    return fig
