"""When did a class collapse: one error of every class over the epochs."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import epoch_axis, figure, plain, register
from app.text.palette import SEQUENTIAL


@register("Error by class and epoch", ("class", "class_index", "epoch", "value", "n"))
def class_history(table: pd.DataFrame) -> go.Figure:
    """Draw a heatmap of class and epoch on a fixed scale from 0 to 1, so that runs compare.

    Args:
        table: One row per class and epoch, ``value`` a share of 1 over ``n`` samples.
    """
    grid, counts = _by_class_and_epoch(table, "value"), _by_class_and_epoch(table, "n")
    names = table.drop_duplicates("class_index").set_index("class_index")["class"]
    fig = figure(
        110 + max(22 * len(grid), 120),
        xaxis={**epoch_axis(table["epoch"]), "showgrid": False},
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False},
    )
    fig.add_heatmap(
        z=grid.to_numpy("float32"),
        x=list(grid.columns),
        y=[plain(names[index]) for index in grid.index],
        customdata=counts.to_numpy("float32"),
        zmin=0,
        zmax=1,
        colorscale=SEQUENTIAL,
        colorbar={"tickformat": ".0%", "thickness": 12, "outlinewidth": 0},
        hovertemplate="<b>%{y}</b>, epoch %{x}: %{z:.1%} (n = %{customdata})<extra></extra>",
    )
    return fig


def _by_class_and_epoch(table: pd.DataFrame, values: str) -> pd.DataFrame:
    """Return a row per class and a column per epoch; a class without a value keeps its row."""
    return table.pivot_table(
        index="class_index", columns="epoch", values=values, sort=True, dropna=False
    )
