"""How long earlier runs took: what the time of the next one is estimated from."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import TRAINING, Attempt, Checkpoint, Run, RunStatus, Snapshot


@dataclass(frozen=True)
class TimedRun:
    """A finished run that was never interrupted."""

    method: str
    scenario: dict[str, Any]
    epochs: int
    """Epochs that it trained."""
    facts: dict[str, Any]
    seconds: float
    """From its trainer's start to its end, with every evaluation."""
    file_bytes: int = 0
    """Of the checkpoints that it keeps."""
    sample_bytes: int = 0
    """Of what is stored per sample, epoch by epoch."""


def timed_runs(session: Session, dataset: str, limit: int = 200) -> list[TimedRun]:
    """Return the runs on a dataset that finished in one attempt, newest first."""
    columns = (Run.method, Run.scenario, Run.epoch, Run.facts)
    times = (Attempt.started_at, Attempt.ended_at)
    files = select(func.sum(Checkpoint.size)).where(Checkpoint.run_id == Run.id)
    blobs = select(func.sum(func.length(Snapshot.data))).where(Snapshot.run_id == Run.id)
    held = (Attempt.run_id == Run.id) & (Attempt.number == Run.attempt)
    found = (
        select(*columns, *times, files.scalar_subquery(), blobs.scalar_subquery())
        .join(Attempt, held)
        .where(Run.status == RunStatus.SUCCEEDED, Run.dataset == dataset, Run.attempt == 1)
        .where(Run.kind == TRAINING, Run.facts.is_not(None), Run.epoch > 0)
        .where(Attempt.ended_at.is_not(None))
        .order_by(Run.ended_at.desc(), Run.id)
        .limit(limit)
    )
    return [
        TimedRun(
            *(method, scenario, epoch, facts, (ended - started).total_seconds()),
            *(int(size or 0) for size in sizes),
        )
        for method, scenario, epoch, facts, started, ended, *sizes in session.execute(found)
    ]
