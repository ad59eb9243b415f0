"""Who works, on what, and who has not been seen for a while."""

from typing import Any

import pandas as pd
import streamlit as st

from app import data
from app.page import title_of
from app.words import NOTHING, count, duration
from db.rows import RunRow, WorkerRow

SILENT_SECONDS = 30.0
"""A worker that says nothing for so long is not counted on."""

STATES = {"busy": "▶ busy", "idle": "○ idle", "stopped": "■ stopped"}
SILENT = "▲ silent"


def worker_panel(runs: list[RunRow]) -> None:
    """Draw the workers of today and the length of the queue."""
    workers = data.workers()
    present = [worker for worker in workers if _is_present(worker)]
    waiting = sum(run.status == "queued" for run in runs)
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
        names = {run.id: title_of(run) for run in runs}
        st.dataframe(
            _table(shown, names),
            hide_index=True,
            key="workers",
            column_config=_COLUMNS,
            alt="Workers that were seen within a day",
        )


_COLUMNS: dict[str, Any] = {
    "host": "Host",
    "device": "Device",
    "state": "State",
    "run": "Works on",
    "seen": "Last seen",
    "version": "Version",
    "process": st.column_config.NumberColumn("Process", format="%d"),
}


def _is_present(worker: WorkerRow) -> bool:
    return worker.state != "stopped" and worker.seconds_since_seen < SILENT_SECONDS


def _and_waiting(waiting: int) -> str:
    return f" and {count(waiting, 'run waits', 'runs wait')}" if waiting else ""


def _table(workers: list[WorkerRow], names: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "host": worker.host,
                "device": f"{worker.device} ({worker.device_name})",
                "state": STATES[worker.state] if _is_present(worker) else SILENT,
                "run": names.get(worker.run_id or "", worker.run_id or NOTHING),
                "seen": _seen(worker.seconds_since_seen),
                "version": worker.version,
                "process": worker.pid,
            }
            for worker in workers
        ]
    )


def _seen(seconds: float) -> str:
    return "now" if seconds < 5 else f"{duration(seconds)} ago"
