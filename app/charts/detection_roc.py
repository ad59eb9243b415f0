"""Which share of the wrong labels is found, at which price in right ones."""

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import figure, register
from app.text.labels import quantity as name_of
from app.text.palette import MUTED, PETROFF_10, SERIES, Style

CHANCE = Style(MUTED, "circle", "dot")
REFERENCES = {
    "loss": Style(PETROFF_10[6], "circle", "dash"),
    "margin": Style(PETROFF_10[4], "triangle-up", "dashdot"),
}


@register("Finding wrong labels", ("name", "false", "true", "threshold", "auc", "within"))
def detection_roc(table: pd.DataFrame) -> go.Figure:
    """Draw the ROC of every score ``name``, and that of a guess.

    Args:
        table: One row per point; ``auc`` over all samples and ``within`` a class are
            the same in all rows of a score; ``within`` is NaN where no class has both kinds.
    """
    share = {"range": [-0.01, 1.01], "tickformat": ".0%"}
    fig = figure(
        400,
        xaxis={**share, "title": {"text": "Right labels that are flagged"}},
        yaxis={**share, "title": {"text": "Wrong labels that are flagged"}},
        hovermode="closest",
    )
    for name, rows in table.groupby("name", sort=False):
        style = REFERENCES.get(str(name)) or SERIES.get(str(name), SERIES["loss"])
        title = name_of(str(name))
        fig.add_scatter(
            x=rows["false"],
            y=rows["true"],
            name=f"{title}: {_areas(rows.iloc[0])}",
            mode="lines",
            line={"color": style.color, "dash": style.dash, "width": 2},
            customdata=rows["threshold"],
            hovertemplate=f"<b>{title}</b> beyond %{{customdata:.4g}}: %{{y:.0%}} of the wrong and "
            "%{x:.0%} of the right labels<extra></extra>",
        )
    fig.add_scatter(
        x=[0, 1],
        y=[0, 1],
        name="A guess",
        mode="lines",
        line={"color": CHANCE.color, "dash": CHANCE.dash, "width": 1},
        hoverinfo="skip",
    )
    return fig


def _areas(row: "pd.Series[float]") -> str:
    within = "" if pd.isna(row["within"]) else f", {row['within']:.3f} in class"
    return f"AUC {row['auc']:.3f}{within}"
