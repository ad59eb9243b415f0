"""What did it learn about each sample? Weights and bounds by class, and some samples whole."""

import pandas as pd
import streamlit as st

from app.charts.base import MOST_LINES, charts
from app.components.page import nothing_here, show_chart, show_table
from app.data import cached
from app.run_tabs import gallery
from app.text.format import count
from app.text.labels import LABEL_GROUPS, NOT_TRAINED, metric
from app.text.markdown import literal
from db.models import TRAINING
from db.reads.rows import RunDetail

FIRST = ("anti_adversary_weight", "adversary_weight", "bound", "clean_weight")
"""The assignment stands before the characteristics."""


def draw(run: RunDetail) -> None:
    """Ask for epoch, quantity and labels, then draw their distribution, history and samples."""
    if run.kind != TRAINING:
        nothing_here("No weights", NOT_TRAINED[run.kind], ":material/model_training:")
        return
    epochs = cached.summary_epochs(run.id, cached.mark(run))
    if not epochs:
        nothing_here(
            "No weights yet",
            "After the first recorded epoch the adversary weight, the anti-adversary weight and "
            "the bound of the training samples stand here, by class.",
            ":material/scatter_plot:",
        )
        return
    epoch = _choose_epoch(epochs)
    quantity, group = _choose_quantity(run, epoch)
    table = cached.summaries(run.id, cached.mark(run), quantity, label_group=group, epoch=epoch)
    table = table[table["n"] > 0]
    if table.empty:
        st.info("No sample has such a label in this epoch.", icon=":material/filter_alt_off:")
    else:
        _say_extremes(table, quantity)
        shown = _choose_classes(table)
        _draw_distributions(run, table, epoch, shown=shown)
        if quantity == "anti_adversary_weight":
            _draw_shares(run, shown)
    st.page_link(
        "views/samples.py",
        label="What did it learn about each sample?",
        icon=":material/grain:",
        query_params={"run": run.id},
    )
    gallery.draw(run)


def _choose_epoch(epochs: list[int]) -> int:
    if len(epochs) == 1:
        return epochs[0]
    chosen = st.select_slider(
        "Epoch", epochs, value=epochs[-1], key="epoch", bind="query-params", width=560
    )
    return int(chosen) if chosen in epochs else epochs[-1]


def _choose_quantity(run: RunDetail, epoch: int) -> tuple[str, str]:
    known = cached.quantities(run.id, cached.mark(run), epoch)
    names = [name for name in FIRST if name in known]
    names += [name for name in sorted(known) if name not in names]
    left, right = st.columns([2, 1])
    with left:
        quantity = st.selectbox(
            "Quantity", names, key="quantity", format_func=metric, bind="query-params"
        )
    groups = [group for group in LABEL_GROUPS if group in known[quantity]]
    with right:
        group = st.segmented_control(
            "Labels",
            groups,
            default=groups[0],
            key="labels",
            required=True,
            format_func=lambda name: LABEL_GROUPS[name],
            bind="query-params",
            disabled=len(groups) == 1,
            help="Whether the given label is the dataset's; known where noise was injected.",
        )
    return quantity, group or groups[0]


def _say_extremes(table: pd.DataFrame, quantity: str) -> None:
    ordered = table.sort_values("mean").to_dict("records")
    low, high = ordered[0], ordered[-1]
    what = metric(quantity)
    if high["mean"] - low["mean"] <= 1e-6 * max(abs(high["mean"]), 1e-12):
        st.markdown(f"#### {what}: the same mean in every class, {high['mean']:.4g}")
        return
    st.markdown(
        f"#### {what}: highest mean in {literal(high['class'])} ({high['mean']:.3g}), "
        f"lowest in {literal(low['class'])} ({low['mean']:.3g})"
    )


def _draw_distributions(
    run: RunDetail, table: pd.DataFrame, epoch: int, *, shown: list[str]
) -> None:
    quantity, group = table["quantity"].iloc[0], table["label_group"].iloc[0]
    drawn = table[table["class"].isin(shown)]
    left, right = st.columns(2)
    name = f"{run.id[:8]}-{quantity}-{group}"
    with left:
        st.markdown(f"**Distribution over each class**, epoch {epoch}")
        figure = charts()["distribution"].draw(drawn)
        figure.update_layout(xaxis={"title": {"text": metric(quantity)}})
        alt = f"Distribution of {metric(quantity)} in {count(len(shown), 'class', 'classes')}"
        show_chart(figure, key="distribution", alt=alt)
        flat = table.drop(columns=["quantiles", "quantity", "label_group"])
        show_table(flat, key="distribution", file_name=f"samples-{name}-epoch-{epoch}.csv")
    with right:
        st.markdown("**Mean over the epochs**")
        history = cached.summaries(run.id, cached.mark(run), quantity, label_group=group)
        alt = f"Mean {metric(quantity)} of each class over the epochs"
        drawn = history[history["class"].isin(shown) & (history["n"] > 0)]
        show_chart(charts()["class_means"].draw(drawn), key="class-means", alt=alt)
        flat = history.drop(columns=["quantity", "label_group"])
        show_table(flat, key="class-means", file_name=f"samples-{name}-means.csv")


def _draw_shares(run: RunDetail, shown: list[str]) -> None:
    table = cached.anti_adversary_shares(run.id, cached.mark(run))
    if not (table["mean"] > 0).any():
        st.caption("No sample's anti-adversary weight was above one half in any epoch.")
        return
    st.markdown(
        "**Share of anti-adversaries over the epochs**: samples with a weight above one half"
    )
    figure = charts()["class_means"].draw(table[table["class"].isin(shown) & (table["n"] > 0)])
    figure.update_layout(yaxis={"title": {"text": "Share of the class"}, "tickformat": ".0%"})
    show_chart(figure, key="anti-shares", alt="Share of anti-adversaries of each class by epoch")
    name = f"anti-adversaries-{run.id[:8]}.csv"
    show_table(table.rename(columns={"mean": "share"}), key="anti-shares", file_name=name)


def _choose_classes(table: pd.DataFrame) -> list[str]:
    names = list(table["class"])
    if len(names) <= MOST_LINES:
        return names
    chosen = st.multiselect(
        "Classes",
        names,
        default=list(table.nlargest(5, "mean")["class"])
        + list(table.nsmallest(5, "mean")["class"]),
        key="classes",
        max_selections=MOST_LINES,
    )
    return list(chosen) or names[:MOST_LINES]
