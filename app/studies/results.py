"""What a study found: one sentence for each scenario, and the evidence below."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from app.compare.choice import choose_one
from app.compare.contest import contest, in_a_list, verdict
from app.compare.measures import MEASURES, shown
from app.compare.protocol import in_words
from app.compare.published import PUBLISHED, published
from app.compare.study import StudyTable, ranked
from app.compare.study_cells import NOTE
from app.compare.study_text import FORMATS, MARKDOWN, apart, markdown_table
from app.components.page import download, show_chart, show_frame
from app.studies import evidence, figures
from app.text.evaluation_card import threat_of, under
from app.text.format import count, percent
from app.text.labels import metric
from app.text.markdown import literal
from db.studies import StudyRow
from engine.evaluation.statistics import ENOUGH_SEEDS
from tasks.escaping import as_file_name

DOWNLOADS = {
    "csv": ("CSV", "text/csv", "csv"),
    "markdown": ("Markdown", "text/markdown", "md"),
    "latex": ("LaTeX", "text/x-tex", "tex"),
    "html": ("HTML", "text/html", "html"),
}
_LITERAL = MARKDOWN.with_names(literal)


def draw_results(study: StudyRow, tables: Sequence[StudyTable]) -> None:
    """Draw what the finished runs of a study say; of several scenarios one in full."""
    if told := apart(tables):
        st.warning(literal(told), icon=":material/rule:")
    answers = st.container()
    name = _ask_measure(tables)
    with answers:
        for table in tables:
            _say_answer(table, name, study, of_several=len(tables) > 1)
    chosen = _ask_scenario(tables)
    for place, table in enumerate(chosen):
        st.markdown(markdown_table(table, _LITERAL))
        st.caption(f"{NOTE} Protocol: {literal(in_words(table.protocol))}.")
        _draw_ranking(table, name, place)
    evidence.draw(chosen, tables, name)
    _offer_downloads(study.name, tables)
    _draw_published(tables)


def _ask_measure(tables: Sequence[StudyTable]) -> str:
    columns = shown(max(table.num_classes for table in tables))
    errors = [name for name, measure in columns.items() if measure.is_share]
    chosen = st.segmented_control(
        "Rank by",
        errors,
        key="error",
        default="worst_robust_error",
        required=True,
        format_func=lambda name: MEASURES[name].head,
        bind="query-params",
        width="content",
    )
    return chosen or "worst_robust_error"


def _ask_scenario(tables: Sequence[StudyTable]) -> list[StudyTable]:
    """Return the tables of the scenario that is to be shown: one for each protocol."""
    names = list(dict.fromkeys(table.scenario for table in tables))
    if len(names) == 1:
        return list(tables)
    chosen = choose_one("Scenario", "scenario", {name: name or "(no name)" for name in names})
    return [table for table in tables if table.scenario == chosen]


def _say_answer(table: StudyTable, name: str, study: StudyRow, *, of_several: bool) -> None:
    """Say which method is best, and whether it is so beyond chance."""
    rows = ranked(table, name).to_dict("records")
    if not rows:
        return
    if of_several:
        st.caption(f"{literal(table.scenario or in_words(table.protocol))}:")
    first = rows[0]
    level = [row["title"] for row in rows if row["rank"] == first["rank"]]
    lead = "have the lowest" if len(level) > 1 else "has the lowest" if len(rows) > 1 else "has a"
    measure = MEASURES[name]
    called = metric(measure.error).lower()
    where = measure.head.split(", ")[1]
    whose = "their" if len(level) > 1 else "its"
    words = {"average": "on average", "worst": f"in {whose} worst class"}
    where = words.get(where, f"in {whose} {where} of classes")
    attacked = "" if "natural" in name else under(threat_of({}, table.protocol))
    line = f"{in_a_list(level)} {lead} {called} {where}: {percent(first['value'], 2)}{attacked}"
    st.markdown(f"#### {literal(line)}" if not of_several else f"**{literal(line)}**")
    found = contest(table.rows, name)
    tested = f" {verdict(found)}" if found else ""
    waits = " Not every run has finished, so this may change." if study.is_active else ""
    st.caption(literal(f"{_spread(first)}.{tested}{waits}"))


def _spread(row: Mapping[Any, Any]) -> str:
    n = row["n"]
    if n >= ENOUGH_SEEDS:
        low, high = percent(row["low"]), percent(row["high"])
        return f"95 % interval {low} to {high}, n = {count(n, 'seed')}"
    if n == 1:
        return "A single seed: another one may tell another story"
    return f"{n} seeds: no interval, that takes {ENOUGH_SEEDS}"


def _draw_ranking(table: StudyTable, name: str, place: int) -> None:
    rows = ranked(table, name)
    few = int((rows["n"] < ENOUGH_SEEDS).sum())
    without = f" {count(few, 'row')} of fewer than {ENOUGH_SEEDS} seeds, without one."
    st.caption(
        f"{MEASURES[name].head}: the smaller the better. Large: mean over seeds, with Student's "
        f"95 % interval; small: the seeds.{without * bool(few)}"
    )
    figure = figures.ranking(table, name)
    show_chart(figure.drawn, key=f"ranking-{place}", alt=figure.alt)


def _offer_downloads(name: str, tables: Sequence[StudyTable]) -> None:
    with st.container(horizontal=True):
        for format_, (label, mime, ending) in DOWNLOADS.items():
            st.download_button(
                f"Download {label}",
                partial(FORMATS[format_], tables, None),  # written when it is asked for
                file_name=as_file_name(name, ending),
                mime=mime,
                icon=":material/download:",
                key=f"study-{format_}",
                on_click="ignore",
            )


def _draw_published(tables: Sequence[StudyTable]) -> None:
    """Show what papers printed, with their protocols, apart from what was measured here."""
    here = sorted({str(table.protocol["dataset"]) for table in tables})
    with st.expander("Published numbers, CIFAR-10", icon=":material/menu_book:"):
        st.caption(
            f"Errors in percent as their authors printed them; l-infinity, 8/255. This study is on "
            f"{literal(', '.join(here))}. Network, attack, weights and split differ between "
            "sources and from here: read them beside the table above, never in one ranking."
        )
        rows = published({method for table in tables for method in table.rows["method"]})
        show_frame(
            rows.assign(**{name: 100 * rows[name] for name in PUBLISHED}),
            hide_index=True,
            key="published",
            column_config={
                "title": "Method",
                **{
                    name: st.column_config.NumberColumn(MEASURES[name].head, format="%.1f")
                    for name in PUBLISHED
                },
                "protocol": st.column_config.TextColumn("Attack and network", width="medium"),
                "source": st.column_config.TextColumn("Source", width="medium"),
            },
            height=320,
            alt="Published errors of CIFAR-10, those of this study's methods first",
        )
        download(rows, key="published", file_name="published-cifar10.csv")
