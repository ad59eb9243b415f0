"""What goes on now: workers and what they do, queues, and what waits for what."""

from typing import Any

import pandas as pd
import streamlit as st

from app.components.page import link_run, show_frame, title_of
from app.components.workers import draw_workers, work_of
from app.data import cached
from app.text.format import NOTHING, count, duration
from app.text.labels import title
from app.text.markdown import literal
from app.text.progress import whereabouts
from app.text.waiting import why_waiting
from db.reads.activity import Activity, WorkRow

MOST_LINKS = 16
"""Runs in work that are linked; the table of workers has all."""


def activity_panel() -> None:
    """Draw everything that goes on."""
    found = cached.activity()
    draw_workers(
        found.workers, found.num_waiting, {work.run.id: work_of(work.run) for work in found.at_work}
    )
    if found.at_work:
        st.markdown("**In work**")
        for work in found.at_work[:MOST_LINKS]:
            _draw_work(work)
        if len(found.at_work) > MOST_LINKS:
            st.caption(f"and {count(len(found.at_work) - MOST_LINKS, 'more run')}")
    left, right = st.columns([1, 2])
    with left:
        _draw_queues(found)
    with right:
        _draw_waiting(found)


def _draw_work(work: WorkRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        link_run(work.run.id, title_of(work.run))
        pace = "" if work.epoch_seconds is None else f" · {duration(work.epoch_seconds)} an epoch"
        st.caption(literal(f"{work.device}: {whereabouts(work.run)}{pace}"), width="stretch")


def _draw_queues(found: Activity) -> None:
    st.markdown("**Queues**")
    rows = [
        {
            "Queue": queue.name,
            "Waiting": queue.waiting,
            "Oldest": _since(queue.oldest_seconds),
            "Workers": queue.workers,
        }
        for queue in found.queues
    ]
    alt = "Queues: how many runs wait, for how long the oldest does, and how many workers serve it"
    show_frame(pd.DataFrame(rows), hide_index=True, key="queues", alt=alt)


def _draw_waiting(found: Activity) -> None:
    st.markdown("**What waits, and why**")
    if not found.waiting:
        st.caption("Nothing waits.")
        return
    rows = [
        {
            "Run": title(run),
            "Queue": run.queue,
            "Priority": run.priority,
            "For": _since(run.seconds),
            "Why": why_waiting(run),
        }
        for run in found.waiting
    ]
    alt = "Runs that wait, in the order of their priority, and why each of them does"
    show_frame(pd.DataFrame(rows), hide_index=True, key="waiting", column_config=_WAITING, alt=alt)
    if (left := found.num_waiting - len(found.waiting)) > 0:
        st.caption(f"and {count(left, 'more run')}")


_WAITING: dict[str, Any] = {"Why": st.column_config.TextColumn(width="large")}


def _since(seconds: float | None) -> str:
    return NOTHING if seconds is None else duration(seconds)
