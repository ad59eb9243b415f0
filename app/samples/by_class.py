"""How a quantity is distributed over the classes, now and over the epochs."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.charts.base import MAX_CLASSES, MOST_LINES, charts
from app.components.page import show_chart, show_table
from app.samples import reads
from app.samples.choice import Look, named_group
from app.samples.tables import pooled
from app.text.format import count
from app.text.labels import quantity as name_of

SHAPE = ["q05", "q25", "median", "q75", "q95", "mean"]


def with_parts(table: pd.DataFrame, look: Look) -> pd.DataFrame:
    """Return a table of classes with the column ``part``: head, tail or nothing."""
    sizes = dict(enumerate(look.size_of))
    return table.assign(part=[sizes.get(index, "") for index in table["class_index"]])


def draw_distributions(look: Look, table: pd.DataFrame) -> None:
    """Draw the spread of each class, and the distribution over groups of samples.

    Args:
        look: What was chosen.
        table: The quantity's distribution of every class and label group, with sizes.
    """
    st.subheader("By class", anchor=False)
    meant = _meant(look, table)
    if meant.empty:
        st.info("No sample meets this choice.", icon=":material/filter_alt_off:")
        return
    shown = extremes(meant, MAX_CLASSES)
    drawn = meant[meant["class_index"].isin(shown)]
    note = _note(len(shown), meant["class_index"].nunique(), "highest and lowest mean")
    st.caption(
        f"{name_of(look.quantity)} in epoch {look.epoch}, {named_group(look.labels).lower()}, by "
        f"given label. Thick: the middle half of the samples; thin: 90 % of them.{note}"
    )
    left, right = st.columns([3, 2])
    flat = meant.drop(columns=["quantiles", "quantity", "epoch"])
    with left:
        place = {index: place for place, index in enumerate(reversed(shown))}
        ordered = drawn.assign(place=drawn["class_index"].map(place))
        ordered = ordered.sort_values(["part", "place", "label_group"])
        figure = charts()["sample_spread"].draw(in_units(ordered, look.quantity, SHAPE))
        _title(figure, "xaxis", look.quantity)
        alt = f"Spread of {name_of(look.quantity)} in {count(len(shown), 'class', 'classes')}"
        show_chart(figure, key="spread", alt=alt)
        show_table(flat, key="spread", file_name=_file(look, f"epoch-{look.epoch}"))
    with right:
        curves = _pooled(
            (look.run.id, look.reached, look.quantity, look.epoch),
            meant,
            (look.labels, look.classes),
        )
        figure = charts()["sample_ecdf"].draw(in_units(curves, look.quantity, ["value"]))
        _title(figure, "xaxis", look.quantity)
        alt = f"Distribution of {name_of(look.quantity)} over groups of samples"
        show_chart(figure, key="ecdf", alt=alt)
        show_table(curves, key="ecdf", file_name=_file(look, f"groups-epoch-{look.epoch}"))


def draw_history(look: Look, table: pd.DataFrame) -> None:
    """Draw the median of some classes over the recorded epochs."""
    st.subheader("Over the epochs", anchor=False)
    meant = _meant(look, table)
    most = MOST_LINES // len(look.groups)
    shown = extremes(meant, most)
    found = reads.history(look.run.id, look.reached, look.quantity, classes=tuple(shown))
    found = found[found["label_group"].isin(look.groups)]
    if found["epoch"].nunique() < 2:
        st.caption("Fewer than two epochs were recorded.")
        return
    note = _note(len(shown), meant["class_index"].nunique(), "highest and lowest mean now")
    st.caption(
        f"Median {name_of(look.quantity).lower()} of each class, "
        f"{named_group(look.labels).lower()}."
        f"{note} Name classes above to see those."
    )
    figure = charts()["sample_history"].draw(in_units(found, look.quantity, SHAPE))
    _title(figure, "yaxis", look.quantity, before="Median ")
    alt = f"Median {name_of(look.quantity)} of {count(len(shown), 'class', 'classes')} by epoch"
    show_chart(figure, key="history", alt=alt)
    show_table(found, key="history", file_name=_file(look, "epochs"))


def extremes(table: pd.DataFrame, most: int) -> list[int]:
    """Return the classes of a table by rising mean: all, or the ``most`` that stand out."""
    totals = table.assign(total=table["mean"] * table["n"]).groupby("class_index")
    means = totals["total"].sum() / totals["n"].sum()
    ordered = [int(str(index)) for index in means.sort_values(kind="stable").index]
    if len(ordered) <= most:
        return ordered
    low = most // 2
    return ordered[:low] + ordered[len(ordered) - (most - low) :]


def in_units(table: pd.DataFrame, quantity: str, names: list[str]) -> pd.DataFrame:
    """Return a table as it is drawn: bounds in 255ths."""
    if quantity != "bound":
        return table
    there = [name for name in names if name in table]
    return table.assign(**{name: 255 * table[name] for name in there})


def axis_title(quantity: str) -> str:
    return "Bound, in 255ths" if quantity == "bound" else name_of(quantity)


def _meant(look: Look, table: pd.DataFrame) -> pd.DataFrame:
    kept = table["label_group"].isin(look.groups)
    if look.classes:
        kept &= table["class_index"].isin(look.classes)
    return table[kept]


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def _pooled(of: Hashable, _meant: pd.DataFrame, who: Hashable) -> pd.DataFrame:
    """Return the functions of every group; ``of`` and ``who`` say what the table holds."""
    parts = []
    for (group, part), rows in _meant.groupby(["label_group", "part"], sort=False):
        about: dict[str, Any] = {"label_group": group, "part": part, "n": rows["n"].sum()}
        parts.append(pooled(rows).assign(**about))
    return pd.concat(parts, ignore_index=True)


def _note(shown: int, known: int, which: str) -> str:
    return "" if shown == known else f" The {shown} classes of {known:,} with {which}."


def _title(figure: go.Figure, axis: str, quantity: str, *, before: str = "") -> None:
    title = axis_title(quantity)
    text = f"{before}{title.lower() if before else title}"
    figure.update_layout({axis: {"title": {"text": text}}})


def _file(look: Look, what: str) -> str:
    return f"samples-{look.run.id[:8]}-{look.quantity}-{what}.csv"
