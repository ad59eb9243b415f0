"""Who is best at what? Natural against robust accuracy of finished runs."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.base import CONFIG, charts
from app.compare import runs as comparison
from app.compare import tradeoff as tables
from app.compare.choice import choose_one, choose_some, keep
from app.compare.fairness import MAX_RUNS, variants
from app.compare.protocol import differences, in_words
from app.compare.runs import Finished
from app.components.page import link_run, nothing_here, page, show_chart, show_table
from app.report.comparison import comparison_report
from app.report.download import offer_comparison
from app.text.evaluation_card import under
from app.text.format import count, percent
from app.text.markdown import literal
from engine.evaluation.error_names import ROBUST_ERROR
from engine.evaluation.statistics import ENOUGH_SEEDS

MAX_PATHS = 8  # more trajectories than this make no readable chart
TITLES = {"average": "Average", "worst": "Worst class"}


@page
def render() -> None:
    st.title("Trade-off", anchor=False)
    st.caption("Who is best at what? Natural and robust accuracy on test data, of finished runs.")
    found = comparison.measured()
    if not found:
        _say_nothing()
        return
    runs = _ask_which(found)
    measure, same_scale = _ask_what()
    known = comparison.accuracies_under(runs)
    table = tables.points(runs, known, measure)
    if table.empty:
        st.info("No finished run meets these filters.", icon=":material/filter_alt_off:")
        return
    _say_answer(table, measure)
    _draw_points(table, measure, same_scale=same_scale)
    _draw_details(runs, table, measure)
    offer_comparison(lambda: comparison_report(runs, ROBUST_ERROR))


def _say_nothing() -> None:
    nothing_here(
        "No finished run yet",
        "Every finished run becomes a point here, natural accuracy against robust accuracy; runs "
        "that differ only in their seed become one, with whiskers.",
        ":material/scatter_plot:",
    )
    st.page_link("views/new_run.py", label="Start a new run", icon=":material/add_circle:")


def _ask_which(found: Sequence[Sequence[Finished]]) -> list[Finished]:
    """Ask for one protocol, then for methods and runs within it.

    Args:
        found: Each run under each of its protocols, its own test first.
    """
    protocols: dict[str, list[Finished]] = {}
    for run in [views[0] for views in found] + [view for views in found for view in views[1:]]:
        protocols.setdefault(run.protocol_id, []).append(run)
    linked, own = set(st.query_params.get_all("runs")), {views[0].protocol_id for views in found}
    # The protocol of the runs that a link names, else a test's own, else the one of the most runs.
    usual = sorted(
        protocols,
        key=lambda key: (
            -sum(run.id in linked for run in protocols[key]),
            key not in own,
            -len(protocols[key]),
        ),
    )
    names = {key: _called(protocols, key) for key in usual}
    chosen = choose_one("Protocol", "protocol", names)
    newest = [views[0].id for views in found]
    runs = sorted(protocols[str(chosen)], key=lambda run: newest.index(run.id))
    _say_kept_apart(runs, [views[0] for views in found])
    wanted, which = st.columns([2, 3])
    with wanted:
        methods = sorted({run.method for run in runs})
        kept = st.multiselect(
            "Method", methods, key="methods", bind="query-params", placeholder="All", wrap=True
        )
    of_method = [run for run in runs if not kept or run.method in kept]
    with which:
        ids = choose_some("Runs", "runs", {run.id: run.label for run in of_method}, most=100)
    return [run for run in of_method if not ids or run.id in ids]


def _ask_what() -> tuple[str, bool]:
    """Return what stands on the axes, and whether their scale is that of both measures."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        measure = st.segmented_control(
            "Accuracy",
            list(TITLES),
            key="accuracy",
            default="average",
            required=True,
            format_func=lambda name: TITLES[name],
            bind="query-params",
            width="content",
        )
        same_scale = st.toggle(
            "Same scale for average and worst class", key="scale", bind="query-params"
        )
    return measure or "average", same_scale


def _called(protocols: dict[str, list[Finished]], key: str) -> str:
    runs = protocols[key]
    words = in_words(runs[0].protocol)
    twins = sum(in_words(other[0].protocol) == words for other in protocols.values()) > 1
    return f"{words}{f' [{key}]' if twins else ''} · {count(len(runs), 'run')}"


def _say_kept_apart(runs: Sequence[Finished], everyone: Sequence[Finished]) -> None:
    shown = {run.id for run in runs}
    others = [run for run in everyone if run.id not in shown]
    if others:
        apart = {run.protocol_id: run.protocol for run in others}
        told = differences([runs[0].protocol, *apart.values()])
        number = len(others)
        verb = "was" if number == 1 else "were"
        st.caption(
            f":material/rule: {count(number, 'other run')} {verb} not measured alike and cannot be "
            f"ranked here: choose {'its' if number == 1 else 'their'} protocol instead. What "
            f"differs is {literal('; '.join(told))}."
        )


def _say_answer(table: pd.DataFrame, measure: str) -> None:
    natural, robust = tables.MEASURES[measure]
    best_natural = table.sort_values([natural, robust]).iloc[-1]
    best_robust = table.sort_values([robust, natural]).iloc[-1]
    of = "" if measure == "average" else " in the worst class"
    attacked = under(table["threat"].iloc[0])
    if best_natural["group"] == best_robust["group"]:
        line = (
            f"{best_robust['title']} is best at both: {percent(best_robust[natural])} natural and "
            f"{percent(best_robust[robust])} robust accuracy{of}{attacked}"
        )
    else:
        line = (
            f"Most robust: {best_robust['title']}, {percent(best_robust[robust])}{of}{attacked}; "
            f"most accurate without an attack: {best_natural['title']}, "
            f"{percent(best_natural[natural])}{of}"
        )
    st.markdown(f"#### {literal(line)}")
    front, single = table["front"].sum(), (table["n"] == 1).sum()
    alone = f" {single} of them on a single seed, which has no whisker." if single else ""
    st.caption(
        f"{front} of {count(len(table), 'scenario')} on the Pareto front: no other of these is as "
        f"good in both. Means over seeds; whiskers go from the smallest to the largest seed."
        f"{alone} Larger: more robust in the worst class. "
        f"Protocol: {literal(table['card'].iloc[0])}."
    )


def _draw_points(table: pd.DataFrame, measure: str, *, same_scale: bool) -> None:
    """Draw the points; one that is clicked becomes the one that is looked at."""
    on_front = ", ".join(table[table["front"]]["title"])
    st.plotly_chart(
        charts()["tradeoff"].draw(tables.drawn(table, measure, same_scale=same_scale)),
        key="points",
        config=CONFIG,
        on_select=_look_at_clicked,
        selection_mode="points",
        alt=f"Natural against robust accuracy of {count(len(table), 'scenario')}; on the Pareto "
        f"front: {on_front}",
    )
    show_table(table, key="points", file_name="trade-off.csv")


def _look_at_clicked() -> None:
    clicked: Any = st.session_state["points"]["selection"]["points"]
    if clicked and clicked[0].get("customdata"):
        keep("point", str(clicked[0]["customdata"][0]))


def _draw_details(runs: Sequence[Finished], table: pd.DataFrame, measure: str) -> None:
    st.subheader("One point, and the way there", anchor=False)
    named = {
        row[
            "group"
        ]: f"{row['title']} · {row['method']}, {count(row['n'], 'seed')} · {row['group']}"
        for row in table.to_dict("records")
    }
    key = choose_one("Click a point above, or choose", "point", named, none="A point")
    members = tables.groups(runs)
    if key is not None:
        _draw_links(members[key], table[table["group"] == key].iloc[0])
    if st.toggle("Show the way there, epoch by epoch", key="paths", bind="query-params"):
        if key is not None:
            shown = members[key]
        else:
            shown = [members[group][0] for group in table[table["front"]]["group"]]
        _draw_paths(shown[:MAX_PATHS], measure, whole=key is not None)


def _draw_links(seeds: Sequence[Finished], row: "pd.Series[Any]") -> None:
    parts = [
        f"{label} {percent(row[name])}"
        + _interval(row, name)
        + (under(row["threat"]) if name.endswith("robust") else "")
        for label, name in (
            ("Natural", "natural"),
            ("robust", "robust"),
            ("worst class natural", "worst_natural"),
            ("worst class robust", "worst_robust"),
        )
    ]
    n = len(seeds)
    few = f". {count(n, 'seed')}: no interval, that takes {ENOUGH_SEEDS}"
    note = few if n < ENOUGH_SEEDS else ""
    st.markdown(literal(f"{'; '.join(parts)}{note}."))
    with st.container(horizontal=True):
        for run in seeds:
            link_run(run.id, run.label)
        st.page_link(
            "views/fairness.py",
            label="Which classes pay?",
            icon=":material/balance:",
            query_params={
                "runs": [run.id for run in seeds[:MAX_RUNS]],
                "protocol": seeds[0].protocol_id,
            },
        )


def _interval(row: "pd.Series[Any]", name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if low != low else f" ({percent(low)} to {percent(high)}, n = {row['n']} seeds)"


def _draw_paths(shown: Sequence[Finished], measure: str, *, whole: bool) -> None:
    natural, robust = tables.MEASURES[measure]
    known, number = {run.id: run for run in shown}, variants(shown)
    table = comparison.histories(tuple(known))
    if table.empty:
        st.caption("These runs recorded no epochs.")
        return
    of = table["run_id"].map(known)
    path = table.assign(
        title=[run.label for run in of],
        method=[run.method for run in of],
        variant=table["run_id"].map(number),
        x=table[natural],
        y=table[robust],
    )
    who = "Every seed of the point" if whole else "The lowest seed of each point on the front"
    st.caption(
        f"{who}, on validation data and with the weaker attack of every epoch: for the way, not "
        "for the ranking. The largest dot is the last epoch."
    )
    alt = f"Natural against robust accuracy of {count(len(shown), 'run')}, epoch by epoch"
    show_chart(charts()["tradeoff_path"].draw(path), key="paths-chart", alt=alt)
    show_table(path, key="paths-rows", file_name="trade-off-epochs.csv")


render()
