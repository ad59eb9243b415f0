"""How a worker stands, in words."""

from app.text.format import NOTHING, duration, percent
from db.reads.rows import WorkerRow

STATES = {"busy": "▶ busy", "idle": "○ idle", "stopped": "■ stopped"}
SILENT = "▲ silent"
TOO_OLD = "▲ too old"
_GIB = 2**30


def state_of(worker: WorkerRow) -> str:
    if not worker.is_present:
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
