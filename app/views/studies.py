"""Does it hold over seeds? Studies: runs of several methods and seeds that share a name."""

from collections.abc import Sequence

import streamlit as st

from app.compare.choice import choose_one, keep
from app.components.dialog import answer_click, asked
from app.components.page import nothing_here, page, show_frame
from app.data import cached
from app.studies import reads
from app.studies.actions import action_buttons
from app.studies.progress import COLUMNS, draw_progress, draw_runs, study_table
from app.studies.results import draw_results
from app.studies.upload import draw_upload
from app.text.markdown import literal
from db.models import RunStatus
from db.reads.rows import RunRow
from db.studies import StudyRow


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
    cells = reads.cells(study.name)
    draw_progress(study, runs, cells)
    if study.is_active:  # what everybody waits for stands on top
        draw_runs(runs, cells)
    finished = tuple(run.id for run in runs if run.status is RunStatus.SUCCEEDED)
    tables = reads.tables(study.name, finished)
    st.subheader("Test errors", anchor=False)
    if tables:
        draw_results(study, tables)
    else:
        _say_no_result(runs)
    if not study.is_active:
        draw_runs(runs, cells)


def _say_no_result(runs: Sequence[RunRow]) -> None:
    waits = any(run.is_active for run in runs)
    st.caption(
        "The table fills as runs finish: average and worst natural, boundary and robust error of "
        "each method, mean and deviation over seeds."
        if waits
        else "None of its runs has finished; resume them, or start the study anew."
    )


render()
