"""Runs that were interrupted: why, how often, and when they may go on."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from db.models import (
    DRAIN,
    USER,
    Attempt,
    Run,
    RunEvent,
    RunStatus,
)
from db.types import older_than


@dataclass(frozen=True)
class Interrupted:
    """A run that waits for what is decided about it.

    Attributes:
        run_id: Its id.
        reason: Why it was interrupted.
        lost: Attempts lost in a row without a finished epoch.
        times: How often this reason interrupted it since a person last resumed it.
    """

    run_id: str
    reason: str | None
    lost: int
    times: int


def resumable(session: Session, after_seconds: float) -> list[Interrupted]:
    """Return the interrupted runs that have waited long enough.

    A run whose worker was told to stop waits for nothing.
    """
    due = older_than(Attempt.ended_at, after_seconds)
    return _interrupted(session, or_(due, Run.reason == DRAIN))


def interrupted(session: Session, run_id: str) -> Interrupted | None:
    """Return one run if it is interrupted, however short a time ago."""
    return next(iter(_interrupted(session, Run.id == run_id)), None)


def _interrupted(session: Session, which: Any) -> list[Interrupted]:
    waited = (
        select(Run.id, Run.reason, Run.infra_attempts)
        .join(Attempt, (Run.id == Attempt.run_id) & (Run.attempt == Attempt.number))
        .where(Run.status == RunStatus.INTERRUPTED, which)
        .order_by(Run.queued_at)
    )
    return [
        Interrupted(run_id, reason, lost, _times(session, run_id, reason))
        for run_id, reason, lost in session.execute(waited).all()
    ]


def _times(session: Session, run_id: str, reason: str | None) -> int:
    """Count a run's interruptions for a reason, since a person last resumed it."""
    mine = select(func.count()).select_from(RunEvent).where(RunEvent.run_id == run_id)
    by_user = (RunEvent.to_status == RunStatus.QUEUED, RunEvent.reason == USER)
    resumed = select(func.coalesce(func.max(RunEvent.id), 0)).where(
        RunEvent.run_id == run_id, *by_user
    )
    such = (RunEvent.to_status == RunStatus.INTERRUPTED, RunEvent.reason == reason)
    since = RunEvent.id > resumed.scalar_subquery()
    return session.execute(mine.where(*such, since)).scalar_one()
