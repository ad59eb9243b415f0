"""Which classes pay? The errors of each class, with their uncertainty."""

import pandas as pd
import streamlit as st

from app.charts.base import MAX_CLASSES, charts
from app.components.page import nothing_here, show_chart, show_table
from app.data import cached
from app.text.evaluation_card import card_in_words, threat_of, under
from app.text.format import count, percent, points
from app.text.labels import metric
from app.text.markdown import literal
from db.reads.rows import RunDetail
from engine.evaluation.error_names import ERRORS, ROBUST_ERROR

SPLITS = {"test": "Test", "validation": "Validation"}


def draw(run: RunDetail) -> None:
    """Answer in words, then draw errors by class, then their history."""
    reached = cached.mark(run)
    found = {split: cached.class_errors(run.id, reached, split) for split in SPLITS}
    there = [split for split, table in found.items() if len(table)]
    if not there:
        nothing_here(
            "No errors yet",
            "After the first epoch the natural, boundary and robust error of every class stand "
            "here, with their intervals.",
            ":material/balance:",
        )
        return
    split = st.segmented_control(
        "Measured on",
        there,
        key="split",
        default=there[0],
        required=True,
        format_func=lambda name: SPLITS[name],
        bind="query-params",
    )
    newest = _newest(found[split or there[0]])
    card = run.evaluation_card if (split or there[0]) == "test" else None
    _say_worst(newest, split or there[0], threat_of(run.scenario, card))
    _draw_errors(run, newest, split or there[0])
    _draw_history(run, found["validation"])


def _newest(table: pd.DataFrame) -> pd.DataFrame:
    known = table[table["name"].isin(ERRORS)]
    return known.query("epoch == epoch.max()")


def _say_worst(table: pd.DataFrame, split: str, threat: str) -> None:
    robust = table[(table["name"] == ROBUST_ERROR) & (table["n"] > 0)].dropna(subset=["value"])
    if robust.empty:
        return
    average = (robust["value"] * robust["n"]).sum() / robust["n"].sum()
    ordered = robust.sort_values("value", ascending=False).to_dict("records")
    worst, best = ordered[0], ordered[-1]
    st.markdown(
        f"#### Worst class: {literal(worst['class'])}, {percent(worst['value'], 0)} robust error"
        f"{under(literal(threat))}, "
        f"{points(worst['value'] - average)} over the average",
    )
    where = "test data" if split == "test" else f"validation data after epoch {worst['epoch']}"
    st.caption(
        f"95 % interval {percent(worst['low'], 0)} to {percent(worst['high'], 0)} (Wilson, "
        f"n = {worst['n']:,}). Average {percent(average)}; best class "
        f"{literal(best['class'])} with {percent(best['value'], 0)}. "
        f"Measured on {where}; one seed, so differences between runs may be chance."
    )


def _draw_errors(run: RunDetail, table: pd.DataFrame, split: str) -> None:
    drawn = table.assign(card=card_in_words(run, split))
    worst = drawn[drawn["name"] == ROBUST_ERROR].nlargest(MAX_CLASSES, "value")["class_index"]
    shown = drawn[drawn["class_index"].isin(worst)]
    st.subheader("Errors by class", anchor=False)
    note = "" if len(worst) == drawn["class_index"].nunique() else f" The {MAX_CLASSES} worst."
    st.caption(
        "Robust error = natural + boundary: wrong without an attack, or only under it. Whiskers "
        f"are 95 % intervals.{note}"
    )
    alt = f"Natural, boundary and robust error of {count(len(worst), 'class', 'classes')}"
    show_chart(charts()["class_errors"].draw(shown), key="class-errors", alt=alt)
    show_table(_wide(table), key="class-errors", file_name=f"classes-{run.id[:8]}-{split}.csv")


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per class: its errors as shares of 1, their intervals and n."""
    wide = table.pivot_table(
        index=["class_index", "class", "n"], columns="name", values=["value", "low", "high"]
    )
    pairs = [(str(pair[0]), str(pair[1])) for pair in wide.columns.to_list()]
    wide.columns = pd.Index([name if kind == "value" else f"{name}_{kind}" for kind, name in pairs])
    return wide.reset_index().sort_values(ROBUST_ERROR, ascending=False)


def _draw_history(run: RunDetail, table: pd.DataFrame) -> None:
    robust = table[table["name"] == ROBUST_ERROR].dropna(subset=["value"])
    if robust["epoch"].nunique() < 2:
        return
    st.subheader("When did a class collapse?", anchor=False)
    attacked = under(literal(threat_of(run.scenario)))
    st.caption(f"{metric(ROBUST_ERROR)}{attacked} on validation data after every epoch.")
    alt = "Robust error of every class on validation data over the epochs"
    show_chart(charts()["class_history"].draw(robust), key="class-history", alt=alt)
    columns = ["epoch", "class_index", "class", "value", "low", "high", "n"]
    show_table(robust[columns], key="class-history", file_name=f"classes-{run.id[:8]}-history.csv")
