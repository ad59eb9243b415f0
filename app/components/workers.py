"""Who works, on what, and who has not been seen for a while."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app.components.page import show_frame, title_of
from app.data import cached
from app.text.format import NOTHING, count
from app.text.markdown import literal
from app.text.progress import whereabouts
from app.text.workers import memory_of, seen, state_of, utilisation_of
from db.migrate import head_revision
from db.reads.activity import LATELY
from db.reads.rows import RunRow, WorkerRow
from db.workers import too_old


def worker_panel(waiting: int) -> None:
    """Draw the workers of today, and how many runs wait for one."""
    workers = cached.workers()
    draw_workers(workers, waiting, {w.run_id: _work(w.run_id) for w in workers if w.run_id})


def draw_workers(workers: list[WorkerRow], waiting: int, work: Mapping[str, str]) -> None:
    """Draw workers, how many runs wait for one, and what they do, by the id of a run."""
    present = [worker for worker in workers if worker.is_ready]
    st.subheader("Workers and queue", anchor=False)
    if present:
        busy = sum(worker.state == "busy" for worker in present)
        st.markdown(
            f"{count(len(present), 'worker')}, {busy} busy; {count(waiting, 'run')} in the queue."
        )
    else:
        st.warning(
            f"No worker is running{_and_waiting(waiting)}: start one with `caat worker`, or "
            "everything on this machine with `caat up`.",
            icon=":material/engineering:",
        )
    for worker in workers:
        if worker.is_present and worker.too_old:
            told = too_old(worker.host, worker.revision, head_revision())
            st.warning(literal(told), icon=":material/upgrade:")
    shown = [w for w in workers if w.state != "stopped" and w.seconds_since_seen < LATELY]
    if shown:
        show_frame(
            _table(shown, work),
            hide_index=True,
            key="workers",
            column_config=_COLUMNS,
            alt="Workers that were seen within a day",
        )


_COLUMNS: dict[str, Any] = {
    "host": "Host",
    "device": "Device",
    "state": "State",
    "memory": st.column_config.TextColumn("Memory", help="Of the device, by any program"),
    "busy": st.column_config.TextColumn("Utilisation", help="Of the device, by any program"),
    "run": st.column_config.TextColumn("Works on", width="large"),
    "seen": "Last heartbeat",
    "version": "Version",
    "process": st.column_config.NumberColumn("Process", format="%d"),
}


def _and_waiting(waiting: int) -> str:
    return f" and {count(waiting, 'run waits', 'runs wait')}" if waiting else ""


def _table(workers: list[WorkerRow], work: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "host": worker.host,
                "device": f"{worker.device} ({worker.device_name})",
                "state": state_of(worker),
                "memory": memory_of(worker),
                "busy": utilisation_of(worker),
                "run": work.get(worker.run_id or "", NOTHING),
                "seen": seen(worker.seconds_since_seen),
                "version": worker.version,
                "process": worker.pid,
            }
            for worker in workers
        ]
    )


def _work(run_id: str) -> str:
    run = cached.run(run_id)
    return NOTHING if run is None else work_of(run)


def work_of(run: RunRow) -> str:
    """Say what a worker does that has a run."""
    return f"{title_of(run)}: {whereabouts(run)}"
