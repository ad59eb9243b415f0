"""Where a run can stand, what may be done with it there, and why it came there."""

from collections.abc import Mapping
from enum import StrEnum

DEFAULT_QUEUE = "default"
"""Where a run waits of which nothing else is said."""


class RunStatus(StrEnum):
    """Where a run stands; `db.writes.state_machine.LEGAL_EDGES` says what may follow what."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    DELETING = "deleting"


ACTIVE = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.STOPPING, RunStatus.INTERRUPTED)
"""A run in one of these can still change by itself."""

HELD = (RunStatus.RUNNING, RunStatus.STOPPING)
"""An attempt has the run."""

ENDED = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
"""A run in one of these changes only if a person resumes or deletes it."""

STOPS_AS: Mapping[RunStatus, RunStatus] = {
    RunStatus.QUEUED: RunStatus.CANCELLED,
    RunStatus.INTERRUPTED: RunStatus.CANCELLED,
    RunStatus.RUNNING: RunStatus.STOPPING,
}
"""What a request to stop makes of a run."""

STOPPABLE = tuple(STOPS_AS)

RESUMABLE = (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.INTERRUPTED)
"""A person may queue a run in one of these again."""

USER = "user"
"""The reason of what a person asked for."""

DRAIN = "drain"
"""The reason of an interruption in good order: its worker was told to stop."""
