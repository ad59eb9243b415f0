"""Where a quantity of the samples lies in each class: the middle of them, and all but few."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, marker, plain, register
from app.text.labels import LABEL_GROUPS as TITLES
from app.text.palette import LABEL_GROUPS, Style, translucent

COLUMNS = ("class", "part", "label_group", "n", "mean", "q05", "q25", "median", "q75", "q95")
HEIGHT = 24
APART = 0.17
"""Of a row, from its middle to one of two groups."""


@register("Spread of a quantity by class", COLUMNS)
def sample_spread(table: pd.DataFrame) -> go.Figure:
    """Draw one row per class: a thin line from 5 to 95 %, a thick one from 25 to 75 %, the median.

    Args:
        table: One row per class and label group, in the order from above; ``part`` (head, tail or
            nothing) stands before the class's name.
    """
    rows = [plain(f"{size} · {name}" if size else name) for size, name in _keys(table)]
    order = {key: len(rows) - 1 - place for place, key in enumerate(_keys(table))}
    fig = figure(
        110 + HEIGHT * len(rows),
        yaxis={
            "tickmode": "array",
            "tickvals": list(order.values()),
            "ticktext": rows,
            "range": [-0.6, len(rows) - 0.4],
        },
        hovermode="closest",
    )
    groups = list(dict.fromkeys(table["label_group"]))
    for group, members in table.groupby("label_group", sort=False):
        shift = APART * (1 if group == groups[0] else -1) if len(groups) > 1 else 0.0
        keys = zip(members["part"], members["class"], strict=True)
        places = pd.Series([order[key] + shift for key in keys], index=members.index)
        _add_group(fig, str(group), members, places=places)
    return fig


def _keys(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(table["part"], table["class"], strict=True)))


def _add_group(
    fig: go.Figure, group: str, rows: pd.DataFrame, *, places: "pd.Series[float]"
) -> None:
    style = LABEL_GROUPS.get(group, LABEL_GROUPS["all"])
    _add_lines(fig, rows["q05"], rows["q95"], places=places, style=style, width=2)
    _add_lines(fig, rows["q25"], rows["q75"], places=places, style=style, width=8)
    fig.add_scatter(
        x=rows["median"],
        y=places,
        name=TITLES.get(group, plain(group)),
        mode="markers",
        marker=marker(style),
        legendgroup=group,
        customdata=rows[["class", "n", "mean", "q05", "q25", "q75", "q95"]].map(
            lambda value: plain(value) if isinstance(value, str) else value
        ),
        hovertemplate="<b>%{customdata[0]}</b> (n = %{customdata[1]:,}): median %{x:.4g}, mean "
        "%{customdata[2]:.4g}<br>half of them %{customdata[4]:.4g} to %{customdata[5]:.4g}, 90 % "
        "of them %{customdata[3]:.4g} to %{customdata[6]:.4g}<extra></extra>",
    )


def _add_lines(
    fig: go.Figure,
    low: "pd.Series[float]",
    high: "pd.Series[float]",
    *,
    places: "pd.Series[float]",
    style: Style,
    width: int,
) -> None:
    ends = zip(low, high, places, strict=True)
    points = [point for a, b, y in ends for point in ((a, y), (b, y), (None, None))]
    fig.add_scatter(
        x=[x for x, _ in points],
        y=[y for _, y in points],
        mode="lines",
        line={"color": translucent(style.color, 0.5), "width": width},
        hoverinfo="skip",
        showlegend=False,
    )
