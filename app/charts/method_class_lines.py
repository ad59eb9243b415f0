"""Which classes each method fails: a line per method over the classes, the easiest first."""

from collections import Counter

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import MAX_CLASSES, MOST_LINES, figure, line_mode, plain, register
from app.text.palette import DASHES, method_style


@register(
    "Error of each class, a line per method", ("title", "method", "class", "class_index", "value")
)
def method_class_lines(table: pd.DataFrame) -> go.Figure:
    """Draw a line per method over the classes, ordered by their mean error; of many the worst.

    A method's line is flat where it treats classes alike. Of more than `MOST_LINES` methods those
    stand here whose worst class is best.

    Args:
        table: One row per method, in the order of the rows, and class: ``class`` its name,
            ``value`` the mean error over the method's seeds, a share of 1.
    """
    kept = table.groupby("title")["value"].max().nsmallest(MOST_LINES).index
    means = table.groupby("class_index")["value"].mean().nlargest(MAX_CLASSES).sort_values()
    place = {index: at for at, index in enumerate(means.index)}
    shown = table[table["title"].isin(kept) & table["class_index"].isin(place)]
    names = shown.drop_duplicates("class_index").set_index("class_index")["class"].map(plain)
    fig = figure(
        460,
        margin={"l": 8, "r": 12, "t": 90, "b": 8},
        xaxis={
            "tickmode": "array",
            "tickvals": list(place.values()),
            "ticktext": [names.get(index, "") for index in place],
        },
        yaxis={"title": {"text": "Error"}, "tickformat": ".0%", "rangemode": "tozero"},
        hovermode="closest",
    )
    seen: Counter[str] = Counter()
    for (title, of), rows in shown.groupby(["title", "method"], sort=False):
        method = str(of)
        ordered = rows.assign(at=rows["class_index"].map(place)).sort_values("at")
        style = method_style(method, seen[method])
        dash = DASHES[seen[method] % len(DASHES)]
        seen[method] += 1
        fig.add_scatter(
            x=ordered["at"],
            y=ordered["value"],
            name=plain(title),
            mode=line_mode(ordered),
            line={"color": style.color, "width": 2, "dash": dash},
            marker={"color": style.color, "symbol": style.symbol, "size": 8},
            customdata=ordered["class"].map(plain),
            hovertemplate="%{customdata}: %{y:.1%}<extra>" + plain(title) + "</extra>",
        )
    return fig
