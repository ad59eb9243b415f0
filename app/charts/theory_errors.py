"""Natural, boundary and robust error of both classes, exact and as counted over samples."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, plain, register
from app.text.labels import metric
from app.text.palette import ERRORS, MUTED

WIDTH = 0.26
PATTERNS = {"natural_error": "", "boundary_error": ".", "robust_error": "/"}


@register("Errors of both classes", ("class", "name", "value", "estimate", "standard_error", "n"))
def theory_errors(table: pd.DataFrame) -> go.Figure:
    """Draw three bars per class, and over them what samples gave, where some were drawn.

    Args:
        table: One row per class and error: ``value`` and ``estimate`` are shares of 1;
            ``estimate`` over ``n`` samples with its ``standard_error``, NaN where none were drawn.
    """
    names = list(dict.fromkeys(table["class"]))
    fig = figure(
        300,
        barmode="overlay",
        xaxis={
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": [plain(name) for name in names],
            "showgrid": False,
        },
        yaxis={"title": {"text": "Error"}, "tickformat": ".0%", "rangemode": "tozero"},
    )
    for place, (name, style) in enumerate(ERRORS.items()):
        rows = table[table["name"] == name]
        fig.add_bar(
            x=[names.index(called) + (place - 1) * WIDTH for called in rows["class"]],
            y=rows["value"],
            width=WIDTH * 0.9,
            name=metric(name),
            marker={
                "color": style.color,
                "pattern": {
                    "shape": PATTERNS[name],
                    "fillmode": "overlay",
                    "fgcolor": "white",
                    "fgopacity": 0.5,
                    "size": 6,
                },
            },
            text=rows["value"],
            texttemplate="%{text:.1%}",
            textposition="outside",
            cliponaxis=False,
            customdata=[plain(called) for called in rows["class"]],
            hovertemplate="<b>%{customdata}</b>: %{y:.2%}<extra>" + metric(name) + "</extra>",
        )
    counted = table.dropna(subset=["estimate"])
    if len(counted):
        _add_estimates(fig, counted, names)
    return fig


def _add_estimates(fig: go.Figure, rows: pd.DataFrame, names: list[str]) -> None:
    places = list(ERRORS)
    called = [plain(name) for name in rows["class"]]
    fig.add_scatter(
        x=[
            names.index(name) + (places.index(kind) - 1) * WIDTH
            for name, kind in zip(rows["class"], rows["name"], strict=True)
        ],
        y=rows["estimate"],
        name=f"Counted, ± standard error (n = {rows['n'].iloc[0]:,} per class)",
        mode="markers",
        marker={"symbol": "line-ew-open", "size": 16, "color": MUTED, "line": {"width": 3}},
        error_y={"type": "data", "array": rows["standard_error"], "color": MUTED, "width": 5},
        customdata=list(zip(called, rows["standard_error"], rows["n"], strict=True)),
        hovertemplate="<b>%{customdata[0]}</b>: %{y:.2%} ± %{customdata[1]:.2%} "
        "(n = %{customdata[2]:,})<extra>Counted</extra>",
    )
