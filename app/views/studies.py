"""Does it hold over seeds? Studies: runs of several methods and seeds that share a name."""

from collections.abc import Sequence

import streamlit as st

from app.charts.base import charts
from app.compare.choice import choose_one, keep
from app.compare.contest import contest, in_a_list, verdict
from app.compare.protocol import in_words
from app.compare.published import PUBLISHED, published
from app.compare.study import StudyTable, ranked
from app.compare.study_text import FORMATS, HEADERS, NOTE, apart, markdown_table
from app.components.dialog import answer_click, asked
from app.components.page import download, nothing_here, page, show_chart, show_frame
from app.data import cached
from app.studies import reads
from app.studies.actions import action_buttons
from app.studies.progress import COLUMNS, draw_progress, study_table
from app.studies.upload import draw_upload
from app.text.evaluation_card import threat_of, under
from app.text.format import count, percent
from app.text.labels import metric
from app.text.markdown import literal
from db.models import RunStatus
from db.reads.rows import RunRow
from db.studies import StudyRow
from tasks.escaping import as_file_name

DOWNLOADS = {
    "csv": ("CSV", "text/csv", "csv"),
    "markdown": ("Markdown", "text/markdown", "md"),
    "latex": ("LaTeX", "text/x-tex", "tex"),
}


@page
def render() -> None:
    answer_click(cached.forget_runs, reads.forget)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title("Studies", width="stretch", anchor=False)
        st.page_link("views/new_run.py", label="New study", icon=":material/add_circle:")
    st.caption("Does it hold over seeds? Several methods and seeds, launched and read together.")
    studies = {study.name: study for study in reads.listed()}
    if not studies:
        _say_nothing()
        return
    wanted = st.query_params.get("study")
    if wanted is not None and wanted not in studies:
        _say_lost(wanted)
    name = choose_one("Study", "study", {key: key for key in studies}, none="All studies")
    live = any(study.is_active for study in ([studies[name]] if name else studies.values()))
    part = st.fragment(_board, run_every=cached.REFRESH_SECONDS if live else None)
    part(name, live=live)
    if not name:
        draw_upload()


def _say_nothing() -> None:
    nothing_here(
        "No study yet",
        "Choose several methods or several seeds for a new run: they are launched together, and "
        "here stand their progress, their means with deviations, and a ranking.",
        ":material/science:",
    )
    st.page_link("views/new_run.py", label="Start a study", icon=":material/add_circle:")
    draw_upload()


def _say_lost(name: str) -> None:
    st.warning(
        f"There is no study *{literal(name)}*; it may have been deleted with its runs.",
        icon=":material/link_off:",
    )
    st.page_link("views/studies.py", label="All studies", icon=":material/science:")


def _board(name: str | None, *, live: bool) -> None:
    studies = {study.name: study for study in reads.listed()}
    shown = [studies[name]] if name in studies else list(studies.values())
    if asked() or (live and not any(study.is_active for study in shown)):
        st.rerun()
    if name in studies:
        _draw_study(studies[name])
    else:
        _draw_list(shown)


def _draw_list(studies: Sequence[StudyRow]) -> None:
    """Draw every study; the key changes with their order, so a click never slides to another."""
    names = [study.name for study in studies]
    key = f"studies-{hash(tuple(names))}"
    st.caption("Select a row to see what its runs found.")
    show_frame(
        study_table(studies),
        key=key,
        column_config=COLUMNS,
        hide_index=True,
        on_select=lambda: _open(key, names),
        selection_mode="single-row",
        height="content" if len(names) <= 12 else 460,
        alt="Studies, the one that changed last first; select a row to open it",
    )


def _open(key: str, names: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows and rows[0] < len(names):
        keep("study", names[rows[0]])


def _draw_study(study: StudyRow) -> None:
    runs = reads.runs(study.name)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(literal(study.name), width="stretch", anchor=False)
        action_buttons(study)
    draw_progress(study, runs)
    finished = tuple(run.id for run in runs if run.status is RunStatus.SUCCEEDED)
    tables = reads.tables(study.name, finished)
    st.subheader("Test errors", anchor=False)
    if not tables:
        _say_no_result(runs)
        return
    if len(tables) > 1:
        st.warning(literal(apart(tables)), icon=":material/rule:")
    answer = st.container()
    name = _ask_error()
    for place, table in enumerate(tables):
        with answer:
            if len(tables) > 1:
                st.caption(f"{literal(in_words(table.protocol))}:")
            _say_answer(table, name, study)
        _draw_results(table, name, place)
    _offer_downloads(study.name, tables)
    _draw_published(tables)


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
        shown = rows.assign(**{name: 100 * rows[name] for name in PUBLISHED})
        show_frame(
            shown,
            hide_index=True,
            key="published",
            column_config={
                "title": "Method",
                **{
                    name: st.column_config.NumberColumn(HEADERS[name], format="%.1f")
                    for name in PUBLISHED
                },
                "protocol": st.column_config.TextColumn("Attack and network", width="medium"),
                "source": st.column_config.TextColumn("Source", width="medium"),
            },
            height=320,
            alt="Published errors of CIFAR-10, those of this study's methods first",
        )
        download(rows, key="published", file_name="published-cifar10.csv")


def _draw_results(table: StudyTable, name: str, place: int) -> None:
    st.markdown(markdown_table(table, literal))
    st.caption(f"{NOTE} Protocol: {literal(in_words(table.protocol))}.")
    _draw_ranking(table, name, place)


def _say_no_result(runs: Sequence[RunRow]) -> None:
    waits = any(run.is_active for run in runs)
    st.caption(
        "The table fills as runs finish: average and worst natural, boundary and robust error of "
        "each method, mean and deviation over seeds."
        if waits
        else "None of its runs has finished; resume them, or start the study anew."
    )


def _ask_error() -> str:
    chosen = st.segmented_control(
        "Rank by",
        list(HEADERS),
        key="error",
        default="worst_robust_error",
        required=True,
        format_func=lambda name: HEADERS[name],
        bind="query-params",
        width="content",
    )
    return chosen or "worst_robust_error"


def _say_answer(table: StudyTable, name: str, study: StudyRow) -> None:
    rows = ranked(table, name).to_dict("records")
    if not rows:
        return
    first = rows[0]
    spread = (
        f"95 % interval {percent(first['low'])} to {percent(first['high'])}, "
        f"n = {count(first['n'], 'seed')}"
        if first["n"] > 1
        else "a single seed: another one may tell another story"
    )
    level = [row["title"] for row in rows if row["rank"] == first["rank"]]
    who = in_a_list(level)
    lead = "have the lowest" if len(level) > 1 else "has the lowest" if len(rows) > 1 else "has a"
    called = metric(name.removeprefix("worst_")).lower()
    where = "in its worst class" if name.startswith("worst_") else "on average"
    attacked = "" if "natural" in name else under(threat_of({}, table.protocol))
    line = f"{who} {lead} {called} {where}: {percent(first['value'], 2)}{attacked}"
    st.markdown(f"#### {literal(line)}")
    found = contest(table.rows, name)
    tested = f" {verdict(found)}" if found else ""
    waits = " Not every run has finished, so this may change." if study.is_active else ""
    st.caption(literal(f"{spread[0].upper()}{spread[1:]}.{tested}{waits}"))


def _offer_downloads(name: str, tables: list[StudyTable]) -> None:
    with st.container(horizontal=True):
        for format_, (label, mime, ending) in DOWNLOADS.items():
            st.download_button(
                f"Download {label}",
                FORMATS[format_](tables, None),
                file_name=as_file_name(name, ending),
                mime=mime,
                icon=":material/download:",
                key=f"study-{format_}",
                on_click="ignore",
            )


def _draw_ranking(table: StudyTable, name: str, place: int) -> None:
    rows = ranked(table, name)
    single = int((rows["n"] == 1).sum())
    alone = f" {count(single, 'method')} with a single seed and no interval." if single else ""
    st.caption(
        f"{HEADERS[name]}: the smaller the better. Large: mean over seeds, with Student's 95 % "
        f"interval, very wide for two seeds; small: the seeds.{alone}"
    )
    order = ", ".join(f"{row['rank']}. {row['title']}" for row in rows.to_dict("records"))
    figure = charts()["ranking"].draw(rows)
    show_chart(figure, key=f"ranking-{place}", alt=f"Ranking by {HEADERS[name]}: {order}")


render()
