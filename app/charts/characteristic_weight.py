"""What a weight follows: where the samples lie, their mean, and the network's own curve."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, register
from app.text.palette import PETROFF_10, ROBUST, translucent

COLUMNS = ("layer", "x", "y", "n", "low", "high")

CELL = PETROFF_10[0]
"""More samples, more of this colour: reads on the light and on the dark page."""


@register("A weight over a characteristic", COLUMNS)
def characteristic_weight(table: pd.DataFrame) -> go.Figure:
    """Draw the density of the samples, the mean in bins of x, and the network's dependence.

    Args:
        table: Rows of the layers ``cell`` (n samples around x and y, a full grid), ``mean`` (of n
            samples around x, 80 % of them from ``low`` to ``high``) and ``network``.
    """
    fig = figure(440, hovermode="closest", dragmode="select")
    cells = table[table["layer"] == "cell"]
    if len(cells):
        _add_cells(fig, cells)
    means = table[table["layer"] == "mean"].sort_values("x")
    if len(means):
        fig.add_scatter(
            x=means["x"],
            y=means["y"],
            name="Mean of the samples, and 80 % of them",
            mode="lines+markers",
            line={"color": ROBUST.color, "width": 2},
            marker={"size": 7, "symbol": ROBUST.symbol},
            error_y={
                "symmetric": False,
                "array": means["high"] - means["y"],
                "arrayminus": means["y"] - means["low"],
                "thickness": 1,
                "width": 3,
            },
            customdata=means[["n", "low", "high"]],
            hovertemplate="around %{x:.4g}: mean %{y:.4g}, 80 % of them %{customdata[1]:.4g} to "
            "%{customdata[2]:.4g} (n = %{customdata[0]:,})<extra></extra>",
        )
    network = table[table["layer"] == "network"].sort_values("x")
    if len(network):
        fig.add_scatter(
            x=network["x"],
            y=network["y"],
            name="The network, all else as it is",
            mode="lines",
            line={"color": PETROFF_10[4], "width": 3, "dash": "dash"},
            hovertemplate="if all samples had %{x:.4g}: %{y:.4g}<extra></extra>",
        )
    return fig


def _add_cells(fig: go.Figure, cells: pd.DataFrame) -> None:
    """Draw how many samples lie in each cell, by the logarithm; an empty cell stays clear."""
    grid = cells.pivot_table(index="y", columns="x", values="n", aggfunc="sum", fill_value=0)
    counts = grid.to_numpy(dtype=float)
    shown = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan)
    top = float(np.log10(max(counts.max(), 1)))
    ticks = np.arange(int(top) + 1)
    fig.add_heatmap(
        x=grid.columns,
        y=grid.index,
        z=np.round(shown, 3),
        zmin=0,
        zmax=max(top, 1),
        customdata=counts,
        colorscale=[[0, translucent(CELL, 0.18)], [1, CELL]],
        hoverongaps=False,
        colorbar={
            "title": {"text": "Samples", "side": "right"},
            "thickness": 10,
            "tickvals": ticks.tolist(),
            "ticktext": [f"{10**tick:,}" for tick in ticks.tolist()],
        },
        hovertemplate="%{customdata:,} samples around %{x:.4g}, %{y:.4g}<extra></extra>",
    )
