"""Which classes pay? Test errors class by class, of one run or of several."""

from typing import Any

import pandas as pd
import streamlit as st

from app.charts.base import MAX_CLASSES, charts
from app.compare import disparity
from app.compare import fairness as tables
from app.compare import runs as comparison
from app.compare import words as say
from app.compare.choice import choose_one, choose_some
from app.compare.protocol import differences, in_words
from app.compare.runs import Finished
from app.components.page import (
    download,
    link_run,
    nothing_here,
    page,
    show_chart,
    show_frame,
    show_table,
)
from app.data import cached
from app.report.comparison import comparison_report
from app.report.download import offer_comparison
from app.text.evaluation_card import under
from app.text.format import count
from app.text.labels import metric
from app.text.markdown import literal
from app.text.palette import ERRORS
from engine.evaluation.error_names import NATURAL_ERROR, ROBUST_ERROR

OWN = "own"  # in a link: no protocol is chosen


@page
def render() -> None:
    st.title("Class fairness", anchor=False)
    st.caption("Which classes pay for robustness? Errors on test data, of finished runs.")
    found = {views[0].id: views for views in comparison.measured()}
    if not found:
        _say_nothing()
        return
    wanted, kind = st.columns([5, 3], vertical_alignment="top")
    with wanted:
        names = {views[0].id: views[0].label for views in found.values()}
        newest = next(iter(found))
        chosen = choose_some("Runs", "runs", names, default=[newest], most=tables.MAX_RUNS)
    with kind:
        name = _ask_error()
    runs = _with_the_same_classes(_ask_protocol([found[run_id] for run_id in chosen]))
    table = tables.class_table(runs)
    if table.empty:
        st.info("Choose a run with test results above.", icon=":material/arrow_upward:")
        st.page_link("views/runs.py", label="All runs", icon=":material/arrow_back:")
        return
    alike = _say_answer(runs, table, name)
    _draw_errors(runs, table, name)
    _draw_spreads(table, name, alike=alike)
    disparity.draw(table, under(literal(_ball(runs, ROBUST_ERROR))))
    if len(runs) > 1:
        _draw_differences(runs, tables.spreads(table), name)
    _draw_history(runs, name)
    offer_comparison(lambda: comparison_report(runs, name))


def _say_nothing() -> None:
    nothing_here(
        "No finished run yet",
        "When a run ends, its natural, boundary and robust error of every class stand here, with "
        "their intervals, beside those of other runs.",
        ":material/balance:",
    )
    st.page_link("views/new_run.py", label="Start a new run", icon=":material/add_circle:")


def _ask_error() -> str:
    chosen = st.segmented_control(
        "Error",
        list(ERRORS),
        key="error",
        default=ROBUST_ERROR,
        required=True,
        format_func=metric,
        bind="query-params",
    )
    return chosen or ROBUST_ERROR


def _ask_protocol(chosen: list[list[Finished]]) -> list[Finished]:
    """Ask which evaluation of the runs is looked at; name the runs that have none of it.

    Args:
        chosen: Each run under each of its protocols, its own test first.
    """
    own = [views[0] for views in chosen]
    protocols: dict[str, list[Finished]] = {}
    for view in [*own, *(view for views in chosen for view in views[1:])]:
        protocols.setdefault(view.protocol_id, []).append(view)
    if len(protocols) < 2:
        return own
    alike = len({run.protocol_id for run in own}) == 1
    # Tests that were not made alike stand side by side, and are not ranked.
    names = {} if alike else {OWN: "Each run's own test"}
    names |= {
        key: f"{in_words(runs[0].protocol)} [{key}] \u00b7 {count(len(runs), 'run')}"
        for key, runs in protocols.items()
    }
    key = choose_one("Protocol", "protocol", names)
    if key is None or key == OWN:
        return own
    shown = {run.id for run in protocols[key]}
    for run in own:
        if run.id not in shown:
            st.warning(
                f"{literal(run.label)} was not evaluated by this protocol and is left out.",
                icon=":material/rule:",
            )
    return [run for views in chosen for run in views if run.protocol_id == key]


def _with_the_same_classes(runs: list[Finished]) -> list[Finished]:
    """Return the runs whose classes are those of the first, and name those that are left out."""
    same = [run for run in runs if run.class_names == runs[0].class_names]
    for run in runs:
        if run not in same:
            st.warning(
                f"{literal(run.label)} has other classes ({literal(run.dataset)}) and is left out.",
                icon=":material/category:",
            )
    return same


def _say_answer(runs: list[Finished], table: pd.DataFrame, name: str) -> bool:
    """Answer in words; return whether the runs may be ranked."""
    told = differences([run.protocol for run in runs])
    found = tables.spreads(table)
    if told:
        st.warning(say.not_alike(told), icon=":material/rule:")
        lines = [say.one_run(rows, name)[0] for _, rows in found.groupby("title", sort=False)]
        titles = found["title"].unique()
        for title, line in zip(titles, lines, strict=True):
            st.markdown(f"**{literal(title)}** · {literal(line)}")
        return False
    headline, doubt = (say.one_run if len(runs) == 1 else say.several_runs)(found, name)
    st.markdown(f"#### {literal(f'{headline}{under(_ball(runs, name))}')}")
    st.caption(f"{literal(doubt)} Protocol: {literal(in_words(runs[0].protocol))}.")
    return True


def _ball(runs: list[Finished], name: str) -> str:
    """Return an error's norm and radius, where an attack counts and all runs have the same."""
    balls = {run.threat for run in runs}
    return "" if name == NATURAL_ERROR or len(balls) > 1 else balls.pop()


def _draw_errors(runs: list[Finished], table: pd.DataFrame, name: str) -> None:
    st.subheader("Errors by class", anchor=False)
    attacked = under(literal(_ball(runs, name)))
    errors = table[table["name"] == name]
    worst = errors.groupby("class_index")["value"].mean().nlargest(MAX_CLASSES).index
    note = "" if len(worst) == errors["class_index"].nunique() else f" The {MAX_CLASSES} worst."
    about = f"{count(len(worst), 'class', 'classes')}"
    if len(runs) == 1:
        st.caption(
            f"Robust error{under(literal(_ball(runs, ROBUST_ERROR)))} = natural + boundary: wrong "
            "without an attack, or only under it. "
            f"Whiskers are 95 % intervals.{note}"
        )
        figure = charts()["class_errors"].draw(table[table["class_index"].isin(worst)])
        alt = f"Natural, boundary and robust error of {about}, worst robust error on top"
    else:
        st.caption(f"{metric(name)}{attacked} on test data. Whiskers are 95 % intervals.{note}")
        figure = charts()["class_comparison"].draw(errors[errors["class_index"].isin(worst)])
        alt = f"{metric(name)} of {about} in {len(runs)} runs, worst on top"
    show_chart(figure, key="errors", alt=alt)
    show_table(tables.wide(table), key="errors", file_name="class-fairness.csv")
    with st.container(horizontal=True):
        for run in runs:
            link_run(run.id, run.label)


def _draw_spreads(table: pd.DataFrame, name: str, *, alike: bool) -> None:
    st.subheader("Worst, average, gap", anchor=False)
    st.caption(
        "NSD: standard deviation of the class-wise errors over their mean; 0 is equal treatment."
    )
    found = tables.spreads(table)
    several = found["run_id"].nunique() > 1
    shown = found[found["name"] == name] if several else found
    if several and alike:
        shown = shown.sort_values("worst")
    show_frame(
        _in_percent(shown),
        hide_index=True,
        key="spreads",
        column_config=_COLUMNS,
        column_order=["title", "error", "worst_class", "worst", "average", "gap", "nsd", "seed"],
    )
    download(found, key="spreads", file_name="class-spread.csv")


def _in_percent(found: pd.DataFrame) -> pd.DataFrame:
    shares = {column: 100 * found[column] for column in ("worst", "average", "gap")}
    return found.assign(**shares, error=found["name"].map(metric))


def _share(label: str, explained: str) -> Any:
    return st.column_config.NumberColumn(label, format="%.1f %%", help=explained)


_COLUMNS: dict[str, Any] = {
    "title": st.column_config.TextColumn("Run", width="medium"),
    "error": "Error",
    "worst_class": "Worst class",
    "worst": _share("Its error", "Error of the worst class"),
    "average": _share("Average", "Over all images"),
    "gap": _share("Gap", "Worst class less best class, in points"),
    "nsd": st.column_config.NumberColumn("NSD", format="%.3f"),
    "seed": st.column_config.NumberColumn("Seed", format="%d"),
}


def _draw_differences(runs: list[Finished], found: pd.DataFrame, name: str) -> None:
    st.subheader("Difference to a baseline", anchor=False)
    names = {run.id: run.label for run in runs}
    base_id = choose_one("Baseline", "baseline", names)
    base = next(run for run in runs if run.id == base_id)
    others = [run for run in runs if run.id != base_id]
    table, why_not = tables.difference_table(base, others, name)
    for line in why_not:
        text = f"Not compared image by image: {literal(line)}."
        st.info(text, icon=":material/difference:")
    if table.empty:
        return
    st.markdown(f"**{literal(say.compared(table, base.label))}**")
    many = table["class_index"].nunique() > MAX_CLASSES
    note = f" The {MAX_CLASSES} classes that differ most." if many else ""
    st.caption(
        f"{metric(name)} on the same images. Exact McNemar test per class, corrected for all "
        "tests of this chart (Holm); what may be chance is faint. These are differences between "
        f"two trained models: another seed may turn them.{note}"
    )
    rhos = tables.rhos(found[found["title"].isin([base.label, *table["title"]])], base.id, name)
    if rhos:
        st.caption(literal(say.gained(rhos)))
    largest = table["value"].abs().groupby(table["class_index"]).max().nlargest(MAX_CLASSES).index
    shown = table[table["class_index"].isin(largest)]
    alt = f"Difference in {metric(name).lower()} to the baseline, class by class"
    show_chart(charts()["class_difference"].draw(shown), key="differences", alt=alt)
    show_table(table, key="differences", file_name="class-differences.csv")


def _draw_history(runs: list[Finished], name: str) -> None:
    st.subheader("When did a class collapse?", anchor=False)
    names = {run.id: run.label for run in runs}
    run_id = choose_one("Run", "history", names) if len(runs) > 1 else runs[0].id
    run = cached.run(str(run_id))
    if run is None:
        return
    table = cached.class_errors(run.id, cached.mark(run), "validation")
    errors = table[(table["name"] == name) & (table["n"] > 0)].dropna(subset=["value"])
    if errors["epoch"].nunique() < 2:
        st.caption("Fewer than two epochs were recorded.")
        return
    st.markdown(f"**{literal(say.collapse(tables.largest_rise(errors), name))}**")
    st.caption(f"{metric(name)} on validation data after every epoch.")
    alt = f"{metric(name)} of every class on validation data over the epochs"
    show_chart(charts()["class_history"].draw(errors), key="history", alt=alt)
    columns = ["epoch", "class_index", "class", "value", "low", "high", "n"]
    show_table(errors[columns], key="history", file_name=f"classes-{run.id[:8]}-history.csv")


render()
