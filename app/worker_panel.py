"""Who works, on what, and who has not been seen for a while."""

from typing import Any

import pandas as pd
import streamlit as st

from app import data
from app.page import title_of
from app.run_line import whereabouts
from app.words import NOTHING, count, duration
from db.rows import WorkerRow

SILENT_SECONDS = 30.0
"""A worker that says nothing for so long is not counted on."""

STATES = {"busy": "▶ busy", "idle": "○ idle", "stopped": "■ stopped"}
SILENT = "▲ silent"


def worker_panel(waiting: int) -> None:
    """Draw the workers of today, and how many runs wait for one."""
    workers = data.workers()
    present = [worker for worker in workers if _is_present(worker)]
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
    shown = [w for w in workers if w.state != "stopped" and w.seconds_since_seen < 86_400]
    if shown:
        st.dataframe(
            _table(shown),
            hide_index=True,
            key="workers",
            column_config=_COLUMNS,
            alt="Workers that were seen within a day",
        )


_COLUMNS: dict[str, Any] = {
    "host": "Host",
    "device": "Device",
    "state": "State",
    "run": st.column_config.TextColumn("Works on", width="large"),
    "seen": "Last heartbeat",
    "version": "Version",
    "process": st.column_config.NumberColumn("Process", format="%d"),
}


def _is_present(worker: WorkerRow) -> bool:
    return worker.state != "stopped" and worker.seconds_since_seen < SILENT_SECONDS


def _and_waiting(waiting: int) -> str:
    return f" and {count(waiting, 'run waits', 'runs wait')}" if waiting else ""


def _table(workers: list[WorkerRow]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "host": worker.host,
                "device": f"{worker.device} ({worker.device_name})",
                "state": STATES[worker.state] if _is_present(worker) else SILENT,
                "run": _work(worker.run_id),
                "seen": _seen(worker.seconds_since_seen),
                "version": worker.version,
                "process": worker.pid,
            }
            for worker in workers
        ]
    )


def _work(run_id: str | None) -> str:
    run = data.run(run_id) if run_id else None
    return NOTHING if run is None else f"{title_of(run)}: {whereabouts(run)}"


def _seen(seconds: float) -> str:
    return "now" if seconds < 5 else f"{duration(seconds)} ago"
