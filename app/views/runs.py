"""What is going on? Every run, the queue and the workers."""

import streamlit as st

from app.compare.fairness import MAX_RUNS
from app.components.dialog import answer_click, asked
from app.components.page import follow_database, link_run, nothing_here, page, show_frame, title_of
from app.components.run_line import badge
from app.components.workers import worker_panel
from app.data import cached
from app.run.actions import action_buttons
from app.runs.table import COLUMNS, GROUPS, run_table, say_overview
from app.studies import reads
from app.text.format import count
from app.text.markdown import literal
from app.text.progress import whereabouts
from db.models import ACTIVE
from db.reads.listing import RunFilter
from db.reads.rows import RunRow
from engine.names import visible

CHOSEN = "chosen-runs"


@page
def render() -> None:
    answer_click(cached.forget_runs, reads.forget)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title("Runs", width="stretch", anchor=False)
        st.page_link("views/new_run.py", label="New run", icon=":material/add_circle:")
    token, live = cached.overview().token, _is_live()
    st.fragment(_board, run_every=cached.REFRESH_SECONDS if live else None)(live=live)
    st.space("small")
    st.fragment(_draw_workers, run_every=cached.WATCH_SECONDS)(token, live=live)


def _is_live() -> bool:
    counts = cached.overview().counts
    return any(counts.get(status) for status in ACTIVE)


def _draw_workers(token: int, *, live: bool) -> None:
    """Draw the workers; while nothing is active, have the page drawn when a run's status changes.

    While something is active the list looks by itself.
    """
    found = cached.overview()
    if not live and found.token != token:
        st.rerun()
    worker_panel(found.counts.get("queued", 0))


def _board(*, live: bool) -> None:
    found = cached.overview()
    follow_database()
    if asked() or (live and not _is_live()):
        st.rerun()
    if found.counts:
        newest = found.newest_result
        stored = cached.run_scenarios((newest.id,)) if newest else {}
        say_overview(found, stored.get(newest.id, {}) if newest else {})
        _draw_runs(_filters(found.token))
    else:
        nothing_here(
            "No runs yet",
            "Every run stands here with its status, its progress and its errors, average and "
            "worst class.",
            ":material/model_training:",
        )
        st.page_link("views/new_run.py", label="Start with a new run", icon=":material/add_circle:")


def _filters(token: int) -> RunFilter:
    search, status, method, dataset = st.columns([3, 2, 2, 2])
    methods, datasets = cached.run_choices(token)
    with search:
        text = st.text_input(
            "Search",
            key="q",
            placeholder="Name or id",
            bind="query-params",
            icon=":material/search:",
        )
    with status:
        groups = _choices("Status", "status", list(GROUPS))
    with method:
        wanted_methods = _choices("Method", "method", methods)
    with dataset:
        wanted_datasets = _choices("Dataset", "dataset", datasets)
    statuses = tuple(name for group in groups for name in GROUPS[group])
    return RunFilter(text or "", statuses, tuple(wanted_methods), tuple(wanted_datasets))


def _choices(label: str, key: str, found: list[str]) -> list[str]:
    options = found + [name for name in st.session_state.get(key) or () if name not in found]
    return st.multiselect(
        label, options, key=key, format_func=visible, bind="query-params", placeholder="All"
    )


def _draw_runs(wanted: RunFilter) -> None:
    board = st.container()
    _, number = cached.runs(wanted, 1)
    if not number:
        st.info("No run matches these filters.", icon=":material/filter_alt_off:")
        return
    pages = -(-number // cached.RUNS_A_PAGE)
    chosen = 1
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            chosen = st.pagination(pages, key="page", bind="query-params")
            st.caption(f"{count(number, 'run')}, {cached.RUNS_A_PAGE} a page, newest first")
    with board:
        _draw_page(cached.runs(wanted, chosen)[0])


def _draw_page(shown: list[RunRow]) -> None:
    """Draw the table; a row's position means a run only for the rows that it was drawn with."""
    # Above the table, so that a new row never moves a button away from under the mouse.
    bar = st.container(border=True, horizontal=True, vertical_alignment="center", key="chosen")
    ids = tuple(run.id for run in shown)
    chosen = st.session_state.get(CHOSEN, ())
    curves = cached.run_curves(tuple((run.id, cached.mark(run)) for run in shown))
    # The key changes with the order of rows, so a selection never slides to another run.
    event = show_frame(
        run_table(shown, cached.run_scenarios(ids), curves),
        key=f"runs-{hash(ids)}",
        column_config=COLUMNS,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={
            "selection": {"rows": [place for place, run_id in enumerate(ids) if run_id in chosen]}
        },
        placeholder="",
        height="content" if len(ids) <= 12 else 460,
        alt="Runs, newest first; select a row to open, stop, resume or delete its run, or several "
        "to compare them",
    )
    runs = [shown[row] for row in event["selection"]["rows"] if row < len(shown)]
    st.session_state[CHOSEN] = tuple(run.id for run in runs)
    with bar:
        if len(runs) > 1:
            _draw_comparison(runs)
        else:
            _draw_chosen(runs[0] if runs else None)


def _draw_chosen(run: RunRow | None) -> None:
    if run is None:
        st.button("Stop", icon=":material/stop_circle:", key="chosen-none", disabled=True)
        st.caption("Select a row to open, stop, resume or delete its run; several to compare them.")
        return
    badge(run)
    st.markdown(f"**{literal(title_of(run))}**", width="content")
    link_run(run.id, "Open")
    action_buttons(run, "chosen")
    # What changes stands last: the table's own tools come up over this end of the bar.
    st.caption(literal(whereabouts(run)), width="stretch")


def _draw_comparison(runs: list[RunRow]) -> None:
    """Lead to the pages that compare finished runs, with those that are selected."""
    done = [run.id for run in runs if run.status == "succeeded"]
    st.markdown(f"**{len(runs)} runs selected**", width="content")
    if done:
        st.page_link(
            "views/fairness.py",
            label="Compare classes",
            icon=":material/balance:",
            query_params={"runs": done[:MAX_RUNS]},
        )
        st.page_link(
            "views/tradeoff.py",
            label="Compare trade-off",
            icon=":material/scatter_plot:",
            query_params={"runs": done},
        )
    notes = []
    if len(done) < len(runs):
        notes.append(f"{len(done)} of them finished; only these are compared")
    if len(done) > MAX_RUNS:
        notes.append(f"classes of the first {MAX_RUNS}")
    st.caption("; ".join(notes), width="stretch")


render()
