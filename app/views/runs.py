"""What is going on? Every run, the queue and the workers."""

import streamlit as st

from app import data
from app.actions import action_buttons, answer_click, asked
from app.page import follow_database, nothing_here, page, title_of
from app.run_line import badge, whereabouts
from app.run_table import COLUMNS, RunFilter, filtered, run_table, say_overview
from app.words import literal
from app.worker_panel import worker_panel
from db.rows import RunRow
from tasks import commands

CHOSEN = "chosen-run"


@page
def render() -> None:
    commands.sweep()
    answer_click()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title("Runs", width="stretch", anchor=False)
        st.page_link("views/new_run.py", label="New run", icon=":material/add_circle:")
    live = any(run.is_active for run in data.runs())
    board = st.fragment(_board, run_every=data.REFRESH_SECONDS if live else None)
    board(live=live)


def _board(*, live: bool) -> None:
    runs = data.runs()
    follow_database()
    if asked() or (live and not any(run.is_active for run in runs)):
        st.rerun()
    if runs:
        say_overview(runs)
        _draw_runs(filtered(runs, _filters(runs)))
    else:
        nothing_here(
            "No runs yet",
            "Every run stands here with its status, its progress and its errors, average and "
            "worst class.",
            ":material/model_training:",
        )
        st.page_link("views/new_run.py", label="Start with a new run", icon=":material/add_circle:")
    st.space("small")
    worker_panel(runs)


def _filters(runs: list[RunRow]) -> RunFilter:
    search, status, method, dataset = st.columns([3, 2, 2, 2])
    with search:
        text = st.text_input(
            "Search",
            key="q",
            placeholder="Name or id",
            bind="query-params",
            icon=":material/search:",
        )
    with status:
        statuses = st.multiselect(
            "Status",
            ["active", "finished", "failed", "stopped"],
            key="status",
            bind="query-params",
            placeholder="All",
        )
    with method:
        methods = _choices("Method", "method", [run.method for run in runs])
    with dataset:
        datasets = _choices("Dataset", "dataset", [run.dataset for run in runs])
    return RunFilter(text or "", statuses, methods, datasets)


def _choices(label: str, key: str, found: list[str]) -> list[str]:
    options = sorted(set(found) | set(st.session_state.get(key) or ()))
    return st.multiselect(label, options, key=key, bind="query-params", placeholder="All")


def _draw_runs(shown: list[RunRow]) -> None:
    """Draw the table; a row's position means a run only for the rows that it was drawn with."""
    if not shown:
        st.info("No run matches these filters.", icon=":material/filter_alt_off:")
        return
    # Above the table, so that a new row never moves a button away from under the mouse.
    bar = st.container(border=True, horizontal=True, vertical_alignment="center", key="chosen")
    ids = [run.id for run in shown]
    chosen = st.session_state.get(CHOSEN)
    # The key changes with the order of rows, so a selection never slides to another run.
    event = st.dataframe(
        run_table(shown),
        key=f"runs-{hash(tuple(ids))}",
        column_config=COLUMNS,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [ids.index(chosen)] if chosen in ids else []}},
        placeholder="",
        height="content" if len(ids) <= 12 else 460,
        alt="Runs, newest first; select a row to open, stop, resume or delete its run",
    )
    rows = event["selection"]["rows"]
    run = shown[rows[0]] if rows and rows[0] < len(shown) else None
    st.session_state[CHOSEN] = run.id if run else None
    with bar:
        _draw_chosen(run)


def _draw_chosen(run: RunRow | None) -> None:
    if run is None:
        st.button("Stop", icon=":material/stop_circle:", key="chosen-none", disabled=True)
        st.caption("Select a row to open, stop, resume or delete its run.")
        return
    badge(run)
    st.markdown(f"**{literal(title_of(run))}**", width="content")
    st.page_link(
        "views/run.py",
        label="Open",
        icon=":material/open_in_full:",
        query_params={"id": run.id},
    )
    action_buttons(run, "chosen")
    # What changes stands last: the table's own tools come up over this end of the bar.
    st.caption(literal(whereabouts(run)), width="stretch")


render()
