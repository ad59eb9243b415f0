"""What differs between runs, in their settings and in what came of them?"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.base import MAX_CLASSES, charts
from app.compare.choice import choose_one, choose_some
from app.compare.fairness import MAX_RUNS
from app.compare.groups import Seeds, averages, baseline_differences, by_seeds, class_means
from app.compare.protocol import differences
from app.compare.settings import not_alike, settings_table
from app.compare.trained import MOST, choosable, curves, finished_among, known_runs
from app.components.page import (
    link_run,
    nothing_here,
    page,
    show_chart,
    show_frame,
    show_table,
    title_of,
)
from app.data import cached
from app.text.format import percent
from app.text.labels import metric
from app.text.markdown import literal
from app.text.palette import ERRORS
from db.reads.rows import RunRow
from engine.evaluation.error_names import NATURAL_ERROR, ROBUST_ERROR

CURVES = {
    ROBUST_ERROR: "validation",
    f"worst_{ROBUST_ERROR}": "validation",
    NATURAL_ERROR: "validation",
    f"worst_{NATURAL_ERROR}": "validation",
    "loss": "train",
}
"""Value over the epochs -> the data that it is of."""


@page
def render() -> None:
    st.title("Compare", anchor=False)
    st.caption("What differs between runs, and what came of it? Two to twenty runs.")
    wanted = tuple(st.query_params.get_all("runs"))
    names = choosable(wanted, cached.overview().token)
    if not names:
        nothing_here(
            "No runs yet",
            "Two runs or more stand here side by side: settings that differ, curves, classes.",
            ":material/compare_arrows:",
        )
        st.page_link("views/new_run.py", label="Start a new run", icon=":material/add_circle:")
        return
    chosen = choose_some("Runs", "runs", names, most=MOST)
    runs = known_runs(tuple(chosen))
    if len(runs) < 2:
        st.info("Choose two runs or more above.", icon=":material/arrow_upward:")
        st.page_link("views/runs.py", label="All runs", icon=":material/arrow_back:")
        return
    labels = _labels(runs)
    scenarios = cached.run_scenarios(tuple(run.id for run in runs))
    finished = finished_among(tuple(labels))
    _say_whether_alike(runs, scenarios, [run.protocol for run in finished])
    _draw_settings(labels, scenarios)
    _draw_curves(runs, labels)
    _draw_results(finished, len(runs))


def _labels(runs: Sequence[RunRow]) -> dict[str, str]:
    """Return what each run is called here; ids tell apart only what has equal names."""
    titles = [f"{title_of(run)}, seed {run.seed}" for run in runs]
    return {
        run.id: title if titles.count(title) == 1 else f"{title} · {run.id[:8]}"
        for run, title in zip(runs, titles, strict=True)
    }


def _say_whether_alike(
    runs: Sequence[RunRow], scenarios: Mapping[str, Mapping[str, Any]], protocols: Sequence[Any]
) -> None:
    told = not_alike([scenarios.get(run.id, {}) for run in runs])
    if protocols:
        told += [line for line in differences(protocols) if line not in told]
    if told:
        st.warning(
            "These runs were not trained and tested alike, so their numbers are no ranking. They "
            f"differ in {literal('; '.join(told))}.",
            icon=":material/rule:",
        )
    else:
        st.caption(":material/check: Same dataset, epochs, norm, radius and protocol.")


def _draw_settings(labels: Mapping[str, str], scenarios: Mapping[str, Mapping[str, Any]]) -> None:
    st.subheader("Settings", anchor=False)
    every = st.toggle("Those that agree too", key="all", bind="query-params")
    known = {label: scenarios.get(run_id, {}) for run_id, label in labels.items()}
    table = settings_table(known, all_of_them=every)
    if table.empty:
        st.caption("They differ in nothing.")
    else:
        show_frame(
            table, hide_index=True, key="settings", alt="A row per setting, a column per run"
        )
    with st.container(horizontal=True):
        for run_id, label in labels.items():
            link_run(run_id, label)


def _draw_curves(runs: Sequence[RunRow], labels: Mapping[str, str]) -> None:
    st.subheader("Over the epochs", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Value", list(CURVES), key="curve", format_func=metric, bind="query-params", width=260
        )
        weight = st.slider(
            "Smoothing", 0.0, 0.95, 0.0, 0.05, key="smooth", bind="query-params", width=220
        )
        log = st.toggle("Logarithmic", key="log", bind="query-params")
    table = curves(tuple((run.id, cached.mark(run)) for run in runs), name, CURVES[name])
    if table.empty:
        st.caption("None of these runs has recorded this.")
        return
    table = _told(table, runs, labels)
    smooth = table.groupby("run_id", sort=False)["value"].transform(
        lambda values: values.ewm(alpha=1 - weight).mean() if weight else values
    )
    fig = charts()["run_curves"].draw(table.assign(smooth=smooth))
    shown = "log" if log else "linear"
    fig.update_yaxes(type=shown, tickformat=None if name == "loss" else ".0%")
    of = "training" if CURVES[name] == "train" else "validation"
    st.caption(f"{metric(name)} on {of} data after every epoch.")
    show_chart(fig, key="curves", alt=f"{metric(name)} of {len(runs)} runs over the epochs")
    columns = ["run_id", "title", "method", "epoch", "value"]
    show_table(table[columns], key="curves", file_name="curves.csv")


def _told(table: pd.DataFrame, runs: Sequence[RunRow], labels: Mapping[str, str]) -> pd.DataFrame:
    """Add what each run is called and how it is drawn, in the order of choosing."""
    counted: dict[str, int] = {}
    variants = {}
    for run in runs:
        variants[run.id] = counted[run.method] = counted.get(run.method, -1) + 1
    methods = {run.id: run.method for run in runs}
    order = table["run_id"].map(list(labels).index)
    table = table.assign(order=order).sort_values(["order", "epoch"], ignore_index=True)
    return table.assign(
        title=table["run_id"].map(labels),
        method=table["run_id"].map(methods),
        variant=table["run_id"].map(variants),
    )


def _draw_results(finished: list[Any], number: int) -> None:
    st.subheader("On test data", anchor=False)
    if len(finished) < number:
        st.caption(f"{len(finished)} of {number} runs are finished; only these have test errors.")
    if not finished:
        return
    same = [run for run in finished if run.class_names == finished[0].class_names]
    for run in finished:
        if run not in same:
            st.warning(f"{literal(run.label)} has other classes and is left out.")
    error = (
        st.segmented_control(
            "Error",
            list(ERRORS),
            key="error",
            default=ROBUST_ERROR,
            required=True,
            format_func=metric,
            bind="query-params",
        )
        or ROBUST_ERROR
    )
    groups = by_seeds(same)
    _draw_classes(groups, error)
    if len(groups) > 1:
        _draw_differences(groups, error)
    with st.container(horizontal=True):
        _link(
            "views/fairness.py", "Image by image: Class fairness", [r.id for r in same][:MAX_RUNS]
        )
        _link("views/tradeoff.py", "Natural against robust: Trade-off", [r.id for r in finished])


def _link(file: str, label: str, ids: list[str]) -> None:
    st.page_link(file, label=label, icon=":material/open_in_full:", query_params={"runs": ids})


def _draw_classes(groups: list[Seeds], error: str) -> None:
    table = class_means(groups, error)
    if table.empty:
        st.caption("No errors of classes are stored for these runs.")
        return
    lines = [
        f"**{literal(row['title'])}** {percent(row['value'])}"
        for row in averages(groups, error).to_dict("records")
    ]
    st.markdown(f"{metric(error)} on average: {' · '.join(lines)}")
    worst = table.groupby("class_index")["value"].mean().nlargest(MAX_CLASSES).index
    shown = groups[:MAX_RUNS]
    drawn = table[table["class_index"].isin(worst)]
    drawn = drawn[drawn["title"].isin([group.title for group in shown])]
    notes = [
        f"The {MAX_CLASSES} worst classes." if len(worst) < table["class_index"].nunique() else "",
        f"The first {MAX_RUNS} of {len(groups)} rows." if len(shown) < len(groups) else "",
    ]
    st.caption(
        f"Runs that differ in nothing but their seed are one row. Whiskers are 95 % intervals: "
        f"Student's over three seeds or more, of one seed Wilson's over images. {' '.join(notes)}"
    )
    alt = f"{metric(error)} of each class in {len(shown)} methods, worst on top"
    show_chart(charts()["class_comparison"].draw(drawn), key="classes", alt=alt)
    show_table(table, key="classes", file_name="class-errors.csv")


def _draw_differences(groups: list[Seeds], error: str) -> None:
    st.subheader("Difference to a baseline", anchor=False)
    title = choose_one("Baseline", "baseline", {group.title: group.title for group in groups})
    base = next(group for group in groups if group.title == title)
    others = [group for group in groups if group is not base]
    table, why_not = baseline_differences(base, others, error)
    for line in why_not:
        st.info(f"Not compared: {literal(line)}.", icon=":material/difference:")
    if table.empty:
        return
    st.caption(
        f"{metric(error)} on average, less the baseline's, with its 95 % interval: over common "
        "seeds (paired t-test), or of one run each over the same images (McNemar); corrected for "
        "all tests of this chart (Holm). What may be chance is faint."
    )
    alt = f"Difference in {metric(error).lower()} to the baseline, with intervals"
    show_chart(charts()["difference_forest"].draw(table), key="forest", alt=alt)
    show_table(table, key="forest", file_name="differences.csv")


render()
