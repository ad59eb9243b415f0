"""How a worker stands, in words."""

from app.text.format import NOTHING, duration, percent
from db.reads.placement import LIVE_SECONDS
from db.reads.rows import WorkerRow

STATES = {"busy": "▶ busy", "idle": "○ idle", "stopped": "■ stopped"}
SILENT = "▲ silent"
TOO_OLD = "▲ too old"
_GIB = 2**30


def is_present(worker: WorkerRow) -> bool:
    return worker.state != "stopped" and worker.seconds_since_seen < LIVE_SECONDS


def is_ready(worker: WorkerRow) -> bool:
    """Tell whether a worker is there, and can take the runs of this program."""
    return is_present(worker) and not worker.too_old


def state_of(worker: WorkerRow) -> str:
    if not is_present(worker):
        return SILENT
    return TOO_OLD if worker.too_old else STATES[worker.state]


def seen(seconds: float) -> str:
    return "now" if seconds < 5 else f"{duration(seconds)} ago"


def memory_of(worker: WorkerRow) -> str:
    """Say how full its device is, as it last said: ``3.0 of 80.0 GiB``."""
    if worker.memory_total is None:
        return NOTHING
    total = f"{worker.memory_total / _GIB:.1f} GiB"
    return total if worker.memory_used is None else f"{worker.memory_used / _GIB:.1f} of {total}"


def utilisation_of(worker: WorkerRow) -> str:
    """Say how busy its device was, as it last said."""
    return percent(worker.utilisation, 0)
