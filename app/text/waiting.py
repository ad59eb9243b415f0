"""Why a run waits, in words."""

from db.reads.activity import WaitingRow
from tasks.queue.place import what_it_waits_for


def why_waiting(run: WaitingRow) -> str:
    if run.wait is None:
        return "Was interrupted; a worker queues it again"
    return what_it_waits_for(run.wait)
