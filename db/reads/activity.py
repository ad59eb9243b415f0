"""What goes on now: queues, runs in work, what waits, workers. For `caat top`, metrics and a page.

Each read takes the same few statements however many runs there are.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import HELD, TRAINING, Attempt, Run, RunStatus
from db.reads import placement, queries
from db.reads.placement import QueueRow
from db.reads.rows import RunRow, WorkerRow
from db.reads.waiting import Wait, waits_for
from db.types import db_now

LATELY = 86_400.0
"""Seconds for which a worker that says nothing is still listed."""
MOST_WAITING = 20
_WAITS = (RunStatus.QUEUED, RunStatus.INTERRUPTED)
"""Where a run waits for a worker: an interrupted one is queued again by itself."""


@dataclass(frozen=True)
class WorkRow:
    """A run that a worker has."""

    run: RunRow
    device: str
    epoch_seconds: float | None
    """Of an epoch, with its evaluation, in the attempt in work; none before it has recorded one."""


@dataclass(frozen=True)
class WaitingRow:
    """A run that waits for a worker, or to be queued again."""

    id: str
    name: str
    kind: str
    method: str
    dataset: str
    seed: int
    status: RunStatus
    queue: str
    priority: int
    owner: str
    memory_needed: int | None
    seconds: float | None
    """Since it was queued, by the database's clock; nothing of an interrupted one."""
    wait: Wait | None
    """What it waits for; of an interrupted one, nothing but to be queued again."""


@dataclass(frozen=True)
class Activity:
    """What an installation does now."""

    queues: list[QueueRow]
    counts: Mapping[tuple[RunStatus, str], int]
    """How many runs stand where: (status, kind)."""
    num_lost: int
    """Attempts that lost their worker, of all runs that there are."""
    at_work: list[WorkRow]
    waiting: list[WaitingRow]
    """The first of them, in the order in which they are taken; `queues` counts all."""
    workers: list[WorkerRow]
    """Those that have not ended and were seen lately."""

    @property
    def num_waiting(self) -> int:
        return sum(queue.waiting for queue in self.queues)


def activity(session: Session, most_waiting: int = MOST_WAITING) -> Activity:
    """Return what goes on now, in eight statements."""
    workers = queries.workers(session, there=True, within=LATELY)
    return Activity(
        queues=placement.queues(session),
        counts=_counts(session),
        num_lost=_num_lost(session),
        at_work=_at_work(session),
        waiting=_waiting(session, workers, most_waiting),
        workers=workers,
    )


def _counts(session: Session) -> dict[tuple[RunStatus, str], int]:
    """Count runs from indexes: all of them, and those of them that are jobs about another run.

    What a run is, is stored behind its scenario: to look at each took SQLite a quarter of a second.
    """
    stands = select(Run.status, func.count()).group_by(Run.status)
    counts = {(status, TRAINING): number for status, number in session.execute(stands)}
    jobs = select(Run.status, Run.kind, func.count()).where(Run.subject_id.is_not(None))
    for status, kind, number in session.execute(jobs.group_by(Run.status, Run.kind)):
        counts[status, kind] = number
        counts[status, TRAINING] -= number
    return {place: n for place, n in counts.items() if n and place[0] is not RunStatus.DELETING}


def _at_work(session: Session) -> list[WorkRow]:
    wanted = queries.select_runs().add_columns(Attempt.device).where(Run.status.in_(HELD))
    found = session.execute(wanted.order_by(Attempt.started_at, Run.id)).mappings()
    runs = [(RunRow(**queries.run_values(row, None)), row) for row in found]
    return [WorkRow(run, row["device"] or "", _epoch_seconds(run, row["now"])) for run, row in runs]


def _epoch_seconds(run: RunRow, now: datetime) -> float | None:
    trained = run.progress * run.num_epochs - run.epochs_before
    if run.attempt_started_at is None or run.epoch <= run.epochs_before:
        return None
    return (now - run.attempt_started_at).total_seconds() / trained


def _num_lost(session: Session) -> int:
    lost = select(func.count()).select_from(Attempt).where(Attempt.outcome == "lost")
    return session.execute(lost).scalar_one()


def _waiting(session: Session, workers: list[WorkerRow], most: int) -> list[WaitingRow]:
    names = [name for name in WaitingRow.__dataclass_fields__ if name not in ("seconds", "wait")]
    found = (
        select(*(getattr(Run, name) for name in names), Run.queued_at, db_now().label("now"))
        .where(Run.status.in_(_WAITS))
        .order_by(Run.priority.desc(), Run.queued_at, Run.id)
        .limit(most)
    )
    ahead: Counter[str] = Counter()
    rows = []
    for row in session.execute(found).mappings():
        told = {name: row[name] for name in names}
        if row["status"] is RunStatus.QUEUED:
            wait = waits_for(row["queue"], row["memory_needed"], workers, ahead=ahead[row["queue"]])
            seconds = (row["now"] - row["queued_at"]).total_seconds()
            rows.append(WaitingRow(**told, seconds=seconds, wait=wait))
            ahead[row["queue"]] += 1
        else:
            rows.append(WaitingRow(**told, seconds=None, wait=None))
    return rows
