"""How a quantity of the samples moves over the epochs, class by class."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import epoch_axis, figure, line_mode, plain, register
from app.text.labels import LABEL_GROUPS as TITLES
from app.text.palette import class_style, translucent

MOST_BANDS = 3
"""More bands than this hide each other."""
COLUMNS = ("class", "class_index", "label_group", "epoch", "n", "median", "q25", "q75")


@register("Median by class over the epochs", COLUMNS)
def sample_history(table: pd.DataFrame) -> go.Figure:
    """Draw the median of each class, and the middle half of its samples where lines are few.

    Args:
        table: One row per class, label group and recorded epoch; wrong labels have hollow marks.
    """
    fig = figure(
        400,
        xaxis=epoch_axis(table["epoch"]),
        yaxis={"title": {"text": "Median over the class"}},
        hovermode="closest",
    )
    several = table["label_group"].nunique() > 1
    lines = table.sort_values("epoch").groupby(["class_index", "label_group"])
    for (index, group), rows in lines:
        style = class_style(int(str(index)))
        name = plain(rows["class"].iloc[0])
        if several:
            name += f", {TITLES.get(str(group), plain(group)).lower()}"
        hollow = several and group == "flipped"
        if len(lines) <= MOST_BANDS:
            _add_band(fig, rows, style.color)
        fig.add_scatter(
            x=rows["epoch"],
            y=rows["median"],
            name=name,
            mode=line_mode(rows),
            line={"color": style.color, "dash": "dot" if hollow else style.dash, "width": 2},
            marker={"symbol": style.symbol + ("-open" if hollow else ""), "size": 7},
            customdata=rows[["n", "q25", "q75"]],
            hovertemplate=f"<b>{name}</b>, epoch %{{x}}: median %{{y:.4g}}, half of them "
            "%{customdata[1]:.4g} to %{customdata[2]:.4g} (n = %{customdata[0]:,})<extra></extra>",
        )
    return fig


def _add_band(fig: go.Figure, rows: pd.DataFrame, color: str) -> None:
    fig.add_scatter(
        x=pd.concat([rows["epoch"], rows["epoch"].iloc[::-1]]),
        y=pd.concat([rows["q75"], rows["q25"].iloc[::-1]]),
        mode="lines",
        fill="toself",
        fillcolor=translucent(color, 0.14),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
