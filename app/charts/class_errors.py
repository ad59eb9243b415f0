"""Natural, boundary and robust error of every class, with their intervals."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import class_axis, figure, plain, register, whiskers
from app.text.labels import metric
from app.text.palette import ERRORS
from engine.evaluation.error_names import ROBUST_ERROR

ROW_HEIGHT = 34


@register("Errors by class", ("class", "name", "value", "low", "high", "n", "card"))
def class_errors(table: pd.DataFrame) -> go.Figure:
    """Draw a dot and whisker per class and error, the worst robust error on top.

    Args:
        table: One row per class and error: ``class`` its name, ``name`` the error, ``value`` and
            its interval ``low`` to ``high`` as shares of 1, ``n`` samples, ``card`` the protocol.
    """
    worst = table[table["name"] == ROBUST_ERROR].sort_values("value")
    order = {name: row for row, name in enumerate(worst["class"])}
    fig = figure(
        120 + ROW_HEIGHT * len(order),
        xaxis={"title": {"text": "Error"}, "tickformat": ".0%", "range": [-0.01, 1.01]},
        yaxis=class_axis(order),
    )
    for place, (name, style) in enumerate(ERRORS.items()):
        rows = table[table["name"] == name]
        fig.add_scatter(
            x=rows["value"],
            # The three errors of a class stand side by side, so no whisker hides another.
            y=rows["class"].map(order).astype(float) + (1 - place) * 0.22,
            name=metric(name),
            mode="markers",
            marker={"color": style.color, "symbol": style.symbol, "size": 9},
            error_x=whiskers(rows, style.color),
            customdata=_hover(rows),
            hovertemplate="<b>%{customdata[0]}</b>: %{x:.1%} "
            "(%{customdata[1]:.1%} to %{customdata[2]:.1%}, n = %{customdata[3]})"
            "<br>%{customdata[4]}<extra>" + metric(name) + "</extra>",
        )
    return fig


def _hover(rows: pd.DataFrame) -> list[list[object]]:
    columns = rows[["class", "low", "high", "n", "card"]]
    return [
        [plain(name), low, high, n, plain(card)]
        for name, low, high, n, card in columns.itertuples(index=False)
    ]
