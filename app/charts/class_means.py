"""How the mean of a quantity moves over the epochs, class by class."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import epoch_axis, figure, line_mode, plain, register
from app.text.palette import class_style


@register("Mean by class over the epochs", ("class", "class_index", "epoch", "n", "mean"))
def class_means(table: pd.DataFrame) -> go.Figure:
    """Draw one line per class.

    Args:
        table: One row per class and recorded epoch, ``mean`` over the class's ``n`` samples.
    """
    fig = figure(
        380,
        xaxis=epoch_axis(table["epoch"]),
        yaxis={"title": {"text": "Mean over the class"}},
        hovermode="closest",
    )
    for index, rows in table.sort_values("epoch").groupby("class_index"):
        style = class_style(int(str(index)))
        name = plain(rows["class"].iloc[0])
        fig.add_scatter(
            x=rows["epoch"],
            y=rows["mean"],
            name=name,
            mode=line_mode(rows),
            line={"color": style.color, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 6},
            customdata=rows["n"],
            hovertemplate=f"<b>{name}</b>, epoch %{{x}}: %{{y:.4g}} "
            "(n = %{customdata:,})<extra></extra>",
        )
    return fig
