"""The evidence behind a study's answer, one kind of it at a time."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import streamlit as st

from app.charts.base import charts
from app.compare.contest import contest
from app.compare.measures import MEASURES
from app.compare.study import StudyTable
from app.compare.study_ranks import study_ranks
from app.components.page import show_chart
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


def _differences(chosen: Sequence[StudyTable], _: Sequence[StudyTable], name: str) -> None:
    titles = list(dict.fromkeys(title for table in chosen for title in table.rows["title"]))
    wanted = st.selectbox("Compared with", [BEST, *titles], key="against", width=320)
    against = None if wanted == BEST else wanted
    for place, table in enumerate(chosen):
        found = contest(table.rows, name, against)
        if found is None:
            st.caption("One row alone has nobody to differ from.")
            continue
        methods = dict(zip(table.rows["title"], table.rows["method"], strict=True))
        rows = pd.DataFrame(
            [
                {
                    "title": rival.title,
                    "method": methods[rival.title],
                    "value": rival.difference.value,
                    "low": rival.difference.low,
                    "high": rival.difference.high,
                    "corrected": rival.p_value,
                    "differs": rival.differs,
                    "n": rival.difference.n,
                }
                for rival in found.rivals
                if rival.difference.n
            ]
        )
        st.caption(
            f"{MEASURES[name].head}, less that of *{literal(found.reference)}*: mean over common "
            "seeds, with Student's 95 % interval where there are two or more; faint where "
            "chance may explain it (paired t-test, Holm, 5 %)."
        )
        alt = f"Differences to {found.reference}: " + ", ".join(
            f"{row['title']} {percent(row['value'])}" for row in rows.to_dict("records")
        )
        show_chart(charts()["difference_forest"].draw(rows), key=f"forest-{place}", alt=alt)


def _classes(chosen: Sequence[StudyTable], _: Sequence[StudyTable], name: str) -> None:
    error = MEASURES[name].error
    for place, table in enumerate(chosen):
        known = table.classes[table.classes["name"] == error] if len(table.classes) else None
        if known is None or known.empty:
            st.caption("No errors of classes are stored for these runs.")
            continue
        order = {title: at for at, title in enumerate(table.rows["title"])}
        ordered = known.sort_values("title", key=lambda titles: titles.map(order), kind="stable")
        st.caption(
            f"{MEASURES[error].head.split(',')[0]} error of each class in percent, mean over the "
            "seeds; dark is good. Of many classes the worst."
        )
        worst = ordered.sort_values("value").iloc[-1]
        show_chart(
            charts()["method_classes"].draw(ordered),
            key=f"classes-{place}",
            alt=f"Error by method and class, largest: {worst['title']}, {worst['class']}",
        )


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
    order = ", ".join(f"{row.title} {row.rank:.2f}" for row in found.rows.itertuples())
    show_chart(charts()["average_ranks"].draw(found.rows), key="ranks", alt=f"Ranks: {order}")


KINDS: Mapping[str, Callable[[Sequence[StudyTable], Sequence[StudyTable], str], None]] = {
    "Differences": _differences,
    "Classes": _classes,
    "Ranks": _ranks,
}
