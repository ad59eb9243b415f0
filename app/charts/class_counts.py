"""How many training samples each class will have."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, plain, register
from app.text.palette import MUTED, PETROFF_10


@register("Training samples by class", ("class", "clean", "flipped"))
def class_counts(table: pd.DataFrame) -> go.Figure:
    """Draw a stacked bar per given label.

    Args:
        table: One row per class; of the samples that carry its label, ``clean`` are expected to
            belong to it and ``flipped`` to another class.
    """
    fig = figure(
        290,
        barmode="stack",
        xaxis={"type": "category", "showgrid": False},
        yaxis={"title": {"text": "Training samples"}},
        showlegend=bool(table["flipped"].sum() > 0),
    )
    names = [plain(name) for name in table["class"]]
    for column, label, color, pattern in (
        ("clean", "Label is right", PETROFF_10[0], ""),
        ("flipped", "Label is wrong", MUTED, "/"),
    ):
        fig.add_bar(
            x=names,
            y=table[column],
            name=label,
            marker={"color": color, "pattern": {"shape": pattern}},
            hovertemplate="<b>%{x}</b>: %{y:,.0f}<extra>" + label + "</extra>",
        )
    return fig
