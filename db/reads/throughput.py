"""How long earlier runs took: what the time of the next one is estimated from."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import TRAINING, Attempt, Run, RunStatus


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


def timed_runs(session: Session, dataset: str, limit: int = 200) -> list[TimedRun]:
    """Return the runs on a dataset that finished in one attempt, newest first."""
    columns = (Run.method, Run.scenario, Run.epoch, Run.facts)
    times = (Attempt.started_at, Attempt.ended_at)
    held = (Attempt.run_id == Run.id) & (Attempt.number == Run.attempt)
    found = (
        select(*columns, *times)
        .join(Attempt, held)
        .where(Run.status == RunStatus.SUCCEEDED, Run.dataset == dataset, Run.attempt == 1)
        .where(Run.kind == TRAINING, Run.facts.is_not(None), Run.epoch > 0)
        .where(Attempt.ended_at.is_not(None))
        .order_by(Run.ended_at.desc(), Run.id)
        .limit(limit)
    )
    return [
        TimedRun(method, scenario, epoch, facts, (ended - started).total_seconds())
        for method, scenario, epoch, facts, started, ended in session.execute(found)
    ]
