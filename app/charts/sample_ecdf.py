"""How a quantity is distributed over groups of samples: right and wrong labels, head and tail."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, plain, register
from app.text.labels import LABEL_GROUPS as TITLES
from app.text.palette import LABEL_GROUPS

TAIL = "dot"


@register("Distribution over groups of samples", ("label_group", "part", "n", "value", "share"))
def sample_ecdf(table: pd.DataFrame) -> go.Figure:
    """Draw the distribution function of every group; the tail classes are dotted.

    Args:
        table: One row per point of a group's function: ``share`` of its ``n`` samples that have
            ``value`` or less; ``part`` is head, tail or nothing.
    """
    fig = figure(
        380,
        yaxis={"title": {"text": "Share of the samples"}, "tickformat": ".0%"},
        hovermode="closest",
    )
    for (group, part), rows in table.groupby(["label_group", "part"], sort=False):
        style = LABEL_GROUPS.get(str(group), LABEL_GROUPS["all"])
        title = TITLES.get(str(group), plain(group))
        name = f"{title}, {plain(part)}" if part else title
        fig.add_scatter(
            x=rows["value"],
            y=rows["share"],
            name=name,
            mode="lines",
            line={"color": style.color, "dash": TAIL if part == "tail" else "solid", "width": 2},
            hovertemplate=f"<b>{name}</b> (n = {rows['n'].iloc[0]:,}): "
            "%{y:.0%} of the samples at or below %{x:.4g}<extra></extra>",
        )
    return fig
