"""Which classes each method fails: methods by classes, as a heatmap."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import AXIS, MAX_CLASSES, figure, plain, register
from app.text.palette import SEQUENTIAL

FEW = 16
"""More classes than this leave no room for numbers in the cells."""


@register("Error by method and class", ("title", "class", "class_index", "value"))
def method_classes(table: pd.DataFrame) -> go.Figure:
    """Draw a row per method and a column per class; of many classes the worst on average.

    Args:
        table: One row per method, in the order of the rows, and class: ``value`` the mean error
            over the method's seeds, a share of 1.
    """
    grid = table.pivot_table(index="title", columns="class_index", values="value", sort=False)
    worst = grid.mean().nlargest(MAX_CLASSES).index
    grid = grid[sorted(worst)]
    names = table.drop_duplicates("class_index").set_index("class_index")["class"].map(plain)
    columns = [names[index] for index in grid.columns]
    fig = figure(
        120 + 28 * len(grid),
        xaxis={"type": "category", "showgrid": False, "side": "bottom"},
        yaxis=AXIS | {"type": "category", "autorange": "reversed", "showgrid": False},
    )
    fig.add_heatmap(
        z=grid.to_numpy(),
        x=columns,
        y=[plain(title) for title in grid.index],
        text=_numbers(grid) if len(columns) <= FEW else None,
        texttemplate="%{text}",
        zmin=0,
        zmax=1,
        colorscale=SEQUENTIAL,
        showscale=len(columns) > FEW,
        colorbar={"tickformat": ".0%"},
        xgap=1,
        ygap=1,
        hovertemplate="<b>%{y}</b>, class <b>%{x}</b>: %{z:.1%}<extra></extra>",
    )
    return fig


def _numbers(grid: pd.DataFrame) -> list[list[str]]:
    """Write percentages for the cells; a class that a method lacks has none."""
    return [
        ["" if value != value else f"{100 * value:.0f}" for value in row] for row in grid.to_numpy()
    ]
