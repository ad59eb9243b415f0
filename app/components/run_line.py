"""A run's badge: its status, and what is wrong with who works on it."""

import streamlit as st

from app.text.labels import cut_off, stalled, status
from db.reads.rows import RunRow
from tasks.worker.liveness import silent_seconds


def badge(run: RunRow) -> None:
    words = status(run.shown_status)
    st.badge(words.label, icon=words.icon, color=words.color)
    if run.is_lost:
        return
    if told := stalled(run.seconds_still):
        st.badge(told, icon=":material/hourglass_disabled:", color="orange")
    holder = run.holder
    if holder and (told := cut_off(silent_seconds(holder), holder.lease_seconds)):
        st.badge(told, icon=":material/cloud_off:", color="orange")
