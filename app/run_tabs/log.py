"""What happened to the run? Its events, its attempts, and what its trainer wrote."""

from typing import Any, Literal

import pandas as pd
import streamlit as st

from app.components.page import download, show_frame
from app.data import cached
from app.text.format import count, duration, now
from app.text.labels import tagged
from db.reads.rows import AttemptRow, EventRow, RunDetail
from engine.names import visible, visible_lines
from tasks.recording import run_log

REASONS = {
    "user": "asked for",
    "retry": "tried again by itself",
    "drain": "worker was told to stop",
    "lost": "worker or trainer is gone",
    "lost_too_often": "lost too often",
    "diverged": "loss is no number",
    "input": "scenario or data",
    "error": "error while training",
    "succeeded": "finished",
    "cancelled": "stopped",
}
"""Reasons of events and outcomes of attempts in words; another one is shown as it is."""


SHORT = 16
"""A log of so many lines needs no scrolling."""


def _time(label: str) -> Any:
    return st.column_config.DatetimeColumn(label, format="YYYY-MM-DD HH:mm:ss", timezone="UTC")


_EVENT_COLUMNS: dict[str, Any] = {
    "at": _time("When (UTC)"),
    "change": st.column_config.TextColumn("Change", width="medium"),
    "attempt": st.column_config.NumberColumn("Attempt", format="%d", width=70),
    "by": "By",
    "reason": "Reason",
    "message": st.column_config.TextColumn("Message", width="large"),
}
_ATTEMPT_COLUMNS: dict[str, Any] = {
    "attempt": st.column_config.NumberColumn("Attempt", format="%d", width=70),
    "worker": "Worker",
    "host": "Host",
    "device": "Device",
    "process": st.column_config.NumberColumn("Process", format="%d"),
    "started": _time("Started (UTC)"),
    "ended": _time("Ended (UTC)"),
    "lasted": "Lasted",
    "outcome": "Outcome",
    "epoch": st.column_config.NumberColumn("Last epoch in work", format="%d"),
}


def draw(run: RunDetail) -> None:
    """Draw everything; while the run is active it looks for news by itself."""
    every = cached.REFRESH_SECONDS if run.is_active else None
    st.fragment(_draw_all, run_every=every)(run.id)


def _draw_all(run_id: str) -> None:
    run = cached.run(run_id)
    if run is None:
        return
    _draw_events(run)
    _draw_attempts(run)
    _draw_file(run)


def _draw_events(run: RunDetail) -> None:
    st.subheader("Events", anchor=False)
    events = cached.events(run.id)
    if not events:
        st.caption("Every change of the run's status is noted here.")
        return
    table = pd.DataFrame([_event(event) for event in events])
    show_frame(table, hide_index=True, key="events", column_config=_EVENT_COLUMNS, placeholder="")
    download(table, key="events", file_name=f"events-{run.id[:8]}.csv")


def _event(event: EventRow) -> dict[str, Any]:
    before = f"{tagged(event.from_status)} → " if event.from_status else ""
    return {
        "at": event.at,
        "change": before + tagged(event.to_status),
        "attempt": event.attempt or None,
        "by": event.actor,
        "reason": in_words(event.reason),
        "message": event.message or "",
    }


def _draw_attempts(run: RunDetail) -> None:
    st.subheader("Attempts", anchor=False)
    if not run.attempts:
        st.caption("No worker has taken this run yet.")
        return
    table = pd.DataFrame([_attempt(attempt) for attempt in run.attempts])
    show_frame(
        table, hide_index=True, key="attempts", column_config=_ATTEMPT_COLUMNS, placeholder=""
    )


def _attempt(attempt: AttemptRow) -> dict[str, Any]:
    end = attempt.ended_at or now()
    return {
        "attempt": attempt.number,
        "worker": attempt.worker_id,
        "host": attempt.host,
        "device": attempt.device,
        "process": attempt.pid,
        "started": attempt.started_at,
        "ended": attempt.ended_at,
        "lasted": duration((end - attempt.started_at).total_seconds()),
        "outcome": in_words(attempt.outcome) or "at work",
        "epoch": attempt.epoch,
    }


def in_words(reason: str | None) -> str:
    """Return a reason, or the outcome of an attempt, as a person reads it."""
    return REASONS.get(reason or "", reason or "")


def _draw_file(run: RunDetail) -> None:
    st.subheader("What the trainer wrote", anchor=False)
    found = run_log.tail(run.id)
    if found is None:
        host = run.attempts[-1].host if run.attempts else None
        where = (
            f"It is not on this machine; the run was trained on {visible(host)}." if host else ""
        )
        st.text(f"No log file yet. {where}" if run.is_active else f"No log file. {where}")
        return
    number = len(found.text.splitlines())
    lines = count(number, "line")
    part = f"All of it: {lines}" if found.is_whole else f"Its last {lines}"
    st.caption(f"{part}, {found.size / 1000:,.1f} kB in all.")
    # As code: not one character of it is read as Markdown or HTML.
    height: Literal["content"] | int = "content" if number <= SHORT else 420
    text = visible_lines(found.text)
    st.code(text, language=None, height=height, wrap_lines=True)
    st.download_button(
        "Download the whole log",
        lambda: run_log.whole(run.id),
        file_name=f"log-{run.id[:8]}.txt",
        mime="text/plain",
        icon=":material/download:",
        key="log-file",
        on_click="ignore",
    )
