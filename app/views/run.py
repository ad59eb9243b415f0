"""How is it going, and how did it go? One run, by the id in its link."""

import streamlit as st

from app.components.dialog import answer_click, asked
from app.components.page import follow_database, page, title_of
from app.components.run_line import badge
from app.data import cached
from app.run.actions import action_buttons
from app.run.edit import draw_notes, edit_button
from app.run_tabs.tabs import TABS
from app.studies import reads
from app.text.format import count
from app.text.markdown import literal
from app.text.progress import whereabouts
from db.models import TRAINING
from db.reads.rows import RunDetail
from engine.names import visible
from tasks.queue.place import what_it_waits_for
from tasks.recording.causes import retries
from tasks.recording.exactness import NOT_EXACT, label
from tasks.worker.liveness import LOST_JOB, LOST_WORKER

ID_LENGTH = 32


@page
def render() -> None:
    answer_click(cached.forget_runs, reads.forget)
    run = cached.run(st.query_params.get("id", ""))
    if run is None:
        _say_gone(st.query_params.get("id", ""))
        return
    every = cached.GLANCE_SECONDS if run.is_active else cached.WATCH_SECONDS
    st.fragment(_draw_header, run_every=every)(run.id, live=run.is_active)
    shown = {"Log": TABS["Log"]} if run.is_job else TABS
    tabs = st.tabs(list(shown), key="tab", on_change="rerun", bind="query-params")
    for tab, draw in zip(tabs, shown.values(), strict=True):
        if tab.open:
            with tab:
                draw(run)


def _say_gone(run_id: str) -> None:
    st.title("No such run", anchor=False)
    if run_id:
        shown = visible(run_id if len(run_id) <= ID_LENGTH else f"{run_id[:ID_LENGTH]}...")
        st.text(f"There is no run with the id {shown}: it was deleted, or the link is cut short.")
    else:
        st.text("This link names no run.")
    st.page_link("views/runs.py", label="All runs", icon=":material/arrow_back:")


def _draw_header(run_id: str, *, live: bool) -> None:
    run = cached.run(run_id)
    follow_database()
    if asked() or run is None or live != run.is_active:
        st.rerun()
    st.page_link("views/runs.py", label="All runs", icon=":material/arrow_back:")
    with st.container(horizontal=True, vertical_alignment="center", key="run-title"):
        st.title(literal(title_of(run)), width="content", anchor=False)
        badge(run)
        st.space("stretch")
        if not run.is_job:
            edit_button(run, "header")
        action_buttons(run, "header")
        _draw_link(run)
    draw_notes(run)
    if run.is_active:
        st.caption(literal(_facts_line(run)))
        st.progress(min(run.progress, 1.0), text=literal(whereabouts(run)))
    else:
        st.caption(literal(f"{_facts_line(run)} · {whereabouts(run)}"))
    _say_message(run)
    _say_what_it_waits_for(run)


def _draw_link(run: RunDetail) -> None:
    """Draw what follows from a run: another one; from a job, what it is about."""
    if run.is_job and run.subject_id:
        st.page_link(
            "views/run.py",
            label="The run that it is about",
            icon=":material/arrow_forward:",
            query_params={"id": run.subject_id, "tab": "Attack"},
        )
        return
    if run.kind != TRAINING:
        return
    st.page_link(
        "views/new_run.py",
        label="New run from this",
        icon=":material/content_copy:",
        query_params={"like": run.id},
    )


def _facts_line(run: RunDetail) -> str:
    parts = [f"{run.method} on {run.dataset}", f"seed {run.seed}"]
    if run.is_active and run.attempts and run.attempts[-1].ended_at is None:
        holder = run.attempts[-1]
        parts.append(f"{holder.device} of {holder.host}")
    if marks := cached.fact(run, NOT_EXACT):
        parts.append(label(marks))
    parts.append(f"id {run.id[:8]}")
    return " · ".join(parts)


def _say_message(run: RunDetail) -> None:
    """Say why a run stands where it stands, and what was kept."""
    kept = f" Kept: {count(run.epoch, 'finished epoch')}." if run.epoch else ""
    if run.status == "failed":
        st.error(f"{_sentence(run.message or 'It failed')}{kept}", icon=":material/error:")
    elif run.is_lost:
        told = LOST_JOB if run.is_job else LOST_WORKER
        st.warning(f"{_sentence(told)}{kept}", icon=":material/warning:")
    elif run.status == "interrupted":
        text = _sentence(run.message or "Its worker is gone")
        st.warning(f"{text}{kept}{_what_follows(run)}", icon=":material/warning:")
    elif run.status == "cancelled" and run.message:
        st.info(f"{_sentence(run.message)}{kept}", icon=":material/info:")
    elif run.kind != TRAINING:
        if run.message:
            st.info(_sentence(run.message), icon=":material/info:")
    elif run.attempt > 1 or (run.attempt and run.status == "queued"):
        _say_attempts(run)


def _say_what_it_waits_for(run: RunDetail) -> None:
    wait = cached.wait_of(run.id) if run.status == "queued" else None
    if wait is None:
        return
    told = _sentence(what_it_waits_for(wait))
    if wait.able:
        st.caption(f":material/hourglass_empty: {told}")
    else:  # somebody has to do something
        st.warning(told, icon=":material/hourglass_empty:")


def _say_attempts(run: RunDetail) -> None:
    """Say which attempt this is, from where it goes on, and how the one before ended."""
    number = run.attempt + (run.status == "queued")
    told = [
        event.message
        for event in cached.events(run.id)
        if event.message and event.attempt < number and event.from_status != event.to_status
    ]
    place = f", on from epoch {run.epochs_before + 1}" if run.is_active else ""
    before = f" {_sentence(told[-1])}" if told else ""
    st.caption(f":material/history: Attempt {number}{place}.{before} See the tab *Log*.")


def _what_follows(run: RunDetail) -> str:
    waits = retries(run.reason) == 0
    return "" if waits else " It is queued again by itself while it has tries left."


def _sentence(message: str) -> str:
    return literal(message.rstrip(". ")) + "."


render()
