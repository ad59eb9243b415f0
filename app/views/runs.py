"""What is going on? Every run, the queue and the workers."""

from functools import partial

import streamlit as st

from app.components.dialog import answer_click, asked
from app.components.page import follow_database, link_run, nothing_here, page, show_frame, title_of
from app.components.run_line import badge
from app.components.workers import worker_panel
from app.data import cached
from app.run.actions import action_buttons
from app.run.edit import edit_button
from app.runs.bulk import CHOSEN, draw_bulk, every_match, offer_every_match, succeeded
from app.runs.filters import ask_columns, ask_filter, ask_order, sort_by
from app.runs.groups import ask_group, draw_groups
from app.runs.saved_views import draw_views
from app.runs.table import COLUMNS, empty_columns, head, run_table, say_overview
from app.studies import reads
from app.text.format import count
from app.text.markdown import literal
from app.text.progress import whereabouts
from db.models import ACTIVE
from db.reads.listing import NEWEST_FIRST, Order
from db.reads.rows import RunRow


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
        _draw_list(found.token)
    else:
        nothing_here(
            "No runs yet",
            "Every run stands here with its status, its progress and its errors, average and "
            "worst class.",
            ":material/model_training:",
        )
        st.page_link("views/new_run.py", label="Start with a new run", icon=":material/add_circle:")


def _draw_list(token: int) -> None:
    wanted = ask_filter(cached.run_choices(token))
    with st.container(horizontal=True, vertical_alignment="bottom", key="list-tools"):
        order = ask_order()
        group = ask_group()
        columns = ask_columns()
        draw_views()
        place = st.container(width="content")
    board = st.container()
    _, number = cached.runs(wanted, 1, order)
    if not number:
        st.info("No run matches these filters.", icon=":material/filter_alt_off:")
        return
    with place:
        offer_every_match(wanted, number)
    pages = -(-number // cached.RUNS_A_PAGE)
    chosen = 1
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            chosen = st.pagination(pages, key="page", bind="query-params")
            how = "newest first" if order == NEWEST_FIRST else f"by {head(order.column).lower()}"
            st.caption(f"{count(number, 'run')}, {cached.RUNS_A_PAGE} a page, {how}")
    if group:
        draw_groups(wanted, group)
    with board:
        shown = cached.runs(wanted, chosen, order)[0]
        _draw_page(shown, columns, every_match(wanted), order=order)


def _draw_page(
    shown: list[RunRow], columns: list[str], every: tuple[str, ...], *, order: Order
) -> None:
    """Draw the table; a row's position means a run only for the rows that it was drawn with."""
    # Above the table, so that a new row never moves a button away from under the mouse.
    bar = st.container(border=True, horizontal=True, vertical_alignment="center", key="chosen")
    ids = tuple(run.id for run in shown)
    chosen = every or st.session_state.get(CHOSEN, ())
    curves = cached.run_curves(tuple((run.id, cached.mark(run)) for run in shown))
    table = run_table(shown, cached.run_scenarios(ids), curves)
    empty = empty_columns(table)
    # The key changes with the order of rows, so a selection never slides to another run.
    key = f"runs-{hash((ids, order, bool(every)))}"
    event = show_frame(
        table,
        key=key,
        column_config=COLUMNS,
        column_order=[name for name in columns if name not in empty],
        hide_index=True,
        on_select=partial(_sort, key),
        selection_mode=["multi-row", "single-column"],
        selection_default={
            "selection": {"rows": [place for place, run_id in enumerate(ids) if run_id in chosen]}
        },
        placeholder="",
        height="content" if len(ids) <= 12 else 460,
        alt=f"Runs, by {head(order.column).lower()}; select a row to open, stop, resume, edit or "
        "delete its run, or several to compare them; select a column to sort by it",
    )
    runs = [shown[row] for row in event["selection"]["rows"] if row < len(shown)]
    if not every:
        st.session_state[CHOSEN] = tuple(run.id for run in runs)
    with bar:
        if every:
            draw_bulk(every, succeeded(every))
        elif len(runs) > 1:
            draw_bulk([run.id for run in runs], [r.id for r in runs if r.status == "succeeded"])
        else:
            _draw_chosen(runs[0] if runs else None)


def _sort(key: str) -> None:
    """Sort all runs by the column whose head was clicked."""
    for column in st.session_state[key]["selection"]["columns"]:
        sort_by(column)


def _draw_chosen(run: RunRow | None) -> None:
    if run is None:
        st.button("Stop", icon=":material/stop_circle:", key="chosen-none", disabled=True)
        st.caption("Select a row to open, stop, resume or delete its run; several to compare them.")
        return
    badge(run)
    st.markdown(f"**{literal(title_of(run))}**", width="content")
    link_run(run.id, "Open")
    edit_button(run, "chosen")
    action_buttons(run, "chosen")
    # What changes stands last: the table's own tools come up over this end of the bar.
    st.caption(literal(whereabouts(run)), width="stretch")


render()
