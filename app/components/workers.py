"""Who works, on what, and who has not been seen for a while."""

from typing import Any

import pandas as pd
import streamlit as st

from app.components.page import show_frame, title_of
from app.components.run_line import whereabouts
from app.data import cached
from app.text.format import NOTHING, count, duration
from app.text.markdown import literal
from db.migrate import head_revision
from db.reads.rows import WorkerRow
from db.workers import too_old

SILENT_SECONDS = 30.0
"""A worker that says nothing for so long is not counted on."""

STATES = {"busy": "▶ busy", "idle": "○ idle", "stopped": "■ stopped"}
SILENT = "▲ silent"
TOO_OLD = "▲ too old"


def worker_panel(waiting: int) -> None:
    """Draw the workers of today, and how many runs wait for one."""
    workers = cached.workers()
    present = [worker for worker in workers if is_ready(worker)]
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
        if _is_present(worker) and worker.too_old:
            told = too_old(worker.host, worker.revision, head_revision())
            st.warning(literal(told), icon=":material/upgrade:")
    shown = [w for w in workers if w.state != "stopped" and w.seconds_since_seen < 86_400]
    if shown:
        show_frame(
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


def is_ready(worker: WorkerRow) -> bool:
    """Tell whether a worker is there, and can take the runs of this program."""
    return _is_present(worker) and not worker.too_old


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
                "state": _state(worker),
                "run": _work(worker.run_id),
                "seen": _seen(worker.seconds_since_seen),
                "version": worker.version,
                "process": worker.pid,
            }
            for worker in workers
        ]
    )


def _state(worker: WorkerRow) -> str:
    if not _is_present(worker):
        return SILENT
    return TOO_OLD if worker.too_old else STATES[worker.state]


def _work(run_id: str | None) -> str:
    run = cached.run(run_id) if run_id else None
    return NOTHING if run is None else f"{title_of(run)}: {whereabouts(run)}"


def _seen(seconds: float) -> str:
    return "now" if seconds < 5 else f"{duration(seconds)} ago"
