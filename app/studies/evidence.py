"""The evidence behind a study's answer, one kind of it at a time."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil

import pandas as pd
import streamlit as st

from app.compare.contest import contest, in_a_list
from app.compare.measures import MEASURES
from app.compare.runs import outcomes
from app.compare.study import StudyTable
from app.compare.study_fronts import OVER, TIMES, Points, common_level, compared, points
from app.compare.study_ranks import study_ranks
from app.components.page import show_chart, show_table
from app.studies import figures
from app.text.format import count, percent
from app.text.markdown import literal

BEST = "the best"


def draw(chosen: Sequence[StudyTable], tables: Sequence[StudyTable], name: str) -> None:
    """Let a person choose a kind of evidence, and draw it.

    Args:
        chosen: The tables of the scenario that is shown.
        tables: Those of every scenario.
        name: The measure that is ranked by.
    """
    kind = st.segmented_control(
        "Evidence",
        list(KINDS),
        key="evidence",
        default=next(iter(KINDS)),
        required=True,
        bind="query-params",
        width="content",
    )
    KINDS[kind or next(iter(KINDS))](chosen, tables, name)


def _show(figure: figures.Figure, key: str) -> None:
    show_chart(figure.drawn, key=key, alt=figure.alt)


def _differences(chosen: Sequence[StudyTable], _: Sequence[StudyTable], name: str) -> None:
    titles = list(dict.fromkeys(title for table in chosen for title in table.rows["title"]))
    wanted = st.selectbox("Compared with", [BEST, *titles], key="against", width=320)
    against = None if wanted == BEST else wanted
    for place, table in enumerate(chosen):
        found = contest(table.rows, name, against)
        if found is None:
            st.caption("One row alone has nobody to differ from.")
            continue
        st.caption(
            f"{MEASURES[name].head}, less that of *{literal(found.reference)}*: mean over common "
            "seeds, with Student's 95 % interval where there are three or more; faint where "
            "chance may explain it (paired t-test, Holm, 5 %)."
        )
        _show(figures.differences(table, found), f"forest-{place}")


def _classes(chosen: Sequence[StudyTable], _: Sequence[StudyTable], name: str) -> None:
    as_lines = st.toggle("As lines", key="class-lines", bind="query-params")
    chart = "method_class_lines" if as_lines else "method_classes"
    for place, table in enumerate(chosen):
        figure = figures.classes(table, name, chart)
        if figure is None:
            st.caption("No errors of classes are stored for these runs.")
            continue
        error = MEASURES[MEASURES[name].error].head.split(",")[0]
        st.caption(
            f"{error} error of each class in percent, mean over the seeds. "
            + ("The easiest class first; " if as_lines else "Dark is good; ")
            + "of many classes the worst."
        )
        _show(figure, f"classes-{place}")


def _ranks(_: Sequence[StudyTable], tables: Sequence[StudyTable], name: str) -> None:
    found = study_ranks(tables, name)
    if found is None:
        st.caption("Ranks take two rows and two settings (a scenario with a seed) that both have.")
        return
    test, n = found.found, count(found.found.n, "setting")
    friedman = (
        f"Friedman's test that all are alike: p = {test.p_value:.2g}. "
        if test.p_value == test.p_value
        else ""
    )
    st.caption(
        f"{MEASURES[name].head}: average rank over {n}, each a scenario with a seed. {friedman}"
        f"Ranks that differ by less than {test.critical_difference:.2f} are joined by a bar: not "
        "told apart (Nemenyi, 5 %). Seeds of one scenario are no independent data sets, so this "
        "says more about order than about certainty."
    )
    if found.left_out:
        st.caption(literal(f"Not in every scenario, so left out: {', '.join(found.left_out)}."))
    _show(figures.ranks(found), "ranks")


def _fronts(chosen: Sequence[StudyTable], _: Sequence[StudyTable], name: str) -> None:
    over = name if name in OVER else "worst_robust_error"
    for place, table in enumerate(chosen):
        if table.rows["family"].is_unique:
            st.caption(
                "A front takes several settings of a method: `[methods.NAME.sweep]` with "
                "`beta = [1.0, 3.0, 6.0]` in the study's file makes a row of each."
            )
            continue
        found = fronts_of(table, over)
        if found is None:
            st.caption("No two rows have a seed in common with the outcomes of its test images.")
            continue
        _draw_fronts(found, over, place)


def _draw_fronts(found: Points, over: str, place: int) -> None:
    known = found.mean[:, 0]
    lowest, highest = 100 * float(known.min()), 100 * float(known.max())
    level = st.slider(
        "At a natural error of",
        round(lowest, 1),
        round(max(highest, lowest + 0.1), 1),
        value=ceil(1000 * common_level(found) - 1e-9) / 10,  # not left of a front
        step=0.1,
        format="%.1f %%",
        key=f"front-level-{place}",
    )
    table = compared(found, level / 100)
    best = table.iloc[0]
    called = MEASURES[over].head.lower()
    st.markdown(
        f"**{literal(_front_answer(table, called, level))}**"
        if best["value"] == best["value"]
        else "No front reaches so low a natural error."
    )
    seeds = count(len(found.seeds), "common seed")
    st.caption(
        f"Interpolated between settings; intervals of 95 % from {TIMES} draws of seeds ({seeds}) "
        "and test images, paired over methods. Volume: share of all pairs of errors that the front "
        "is better than."
    )
    if found.left_out:
        st.caption(literal(f"Without what is needed, so left out: {', '.join(found.left_out)}."))
    _show(figures.fronts(found, over), f"fronts-{place}")
    show_table(
        table,
        key=f"front-table-{place}",
        file_name="fronts.csv",
        column_config={
            "family": "Method",
            "settings": "Settings",
            **{
                name: st.column_config.NumberColumn(head, format="percent") for name, head in _HEADS
            },
        },
    )


_HEADS = (
    ("value", "Error there"),
    ("low", "from"),
    ("high", "to"),
    ("gap", "Behind the best"),
    ("gap_low", "from "),
    ("gap_high", "to "),
    ("volume", "Volume"),
    ("volume_low", "from  "),
    ("volume_high", "to  "),
)


def _front_answer(table: pd.DataFrame, called: str, level: float) -> str:
    rows = table.to_dict("records")
    first = rows[0]
    behind = [row["family"] for row in rows[1:] if row["gap_low"] > 0]
    told = f", ahead of {in_a_list(behind)} beyond chance" if behind else ""
    return (
        f"At {level:.1f} % natural error {first['family']} has the lowest error ({called}): "
        f"{percent(first['value'])}, {percent(first['low'])} to {percent(first['high'])}{told}"
    )


@st.cache_data(ttl=600, max_entries=16, show_spinner="Drawing seeds and images …")
def _points(run_ids: tuple[str, ...], over: str, _table: StudyTable) -> Points | None:
    return points(_table, over, outcomes)


def fronts_of(table: StudyTable, over: str) -> Points | None:
    """Return the points of a table; what its finished runs found never changes."""
    return _points(tuple(i for runs in table.rows["runs"] for i in runs), over, table)


KINDS: Mapping[str, Callable[[Sequence[StudyTable], Sequence[StudyTable], str], None]] = {
    "Differences": _differences,
    "Classes": _classes,
    "Ranks": _ranks,
    "Fronts": _fronts,
}
