"""Which run is next for which worker.

A worker offers what its row says: the queues that it serves, its memory, the datasets on its
machine. Of the runs that it may take the one of highest priority is next; of these, that of the
owner with the fewest runs at work, and of these whoever had the last turn longest ago, so that a
long study holds up nobody else; then the oldest.
"""

import random
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    ScalarSelect,
    String,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from db.migrate import head_revision
from db.models import DEFAULT_QUEUE, HELD, Run, RunStatus, Worker
from db.reads.rows import LIVE_SECONDS
from db.types import db_now, older_than

_MOST = 20


@dataclass(frozen=True)
class Ticket:
    """A run's place in a queue; with the number its message is known."""

    run_id: str
    times_queued: int
    queue: str


@dataclass(frozen=True)
class QueueRow:
    """A queue: how many runs wait in it, and how many live workers serve it."""

    name: str
    waiting: int
    oldest_seconds: float | None
    """For how long the run that waits longest has waited."""
    workers: int


def joined(names: list[str] | tuple[str, ...]) -> str:
    """Return names as a worker's row keeps them, so that one can be looked for."""
    return f",{','.join(names)}," if names else ""


def parted(text: str) -> list[str]:
    """Return the names that `joined` put together."""
    return [name for name in text.split(",") if name]


def claimable(session: Session, worker_id: str, *, offered: str | None = None) -> list[Ticket]:
    """Return the next run of each owner that a worker may take, the one whose turn it is first.

    It costs what the number of owners costs, however many runs wait: each step is a look at an
    index.

    Args:
        session: A reading one.
        worker_id: Who asks; a worker without a row may take nothing.
        offered: The run whose message the worker has; it goes before its equals.
    """
    best = session.execute(_best(), {"worker": worker_id}).scalars()
    candidates = {run_id for run_id in (*best, offered) if run_id is not None}
    if not candidates:
        return []
    given = {"worker": worker_id, "offered": offered, "candidates": sorted(candidates)}
    return [Ticket(*row) for row in session.execute(_turns(), given)]


def next_ticket(
    session: Session, worker_id: str, *, offered: str | None = None, was_late: bool = False
) -> Ticket | None:
    """Return the run that a worker takes next, if there is one.

    Args:
        session: A reading one.
        worker_id: Who asks.
        offered: As for `claimable`.
        was_late: Whether another worker was faster the last time. Then one of the equals is drawn:
            many workers that all want the oldest would all but one be late again.
    """
    found = claimable(session, worker_id, offered=offered)
    if not found or not was_late or found[0].run_id == offered:
        return next(iter(found), None)
    given = {"worker": worker_id, "first": found[0].run_id}
    equals = [Ticket(*row) for row in session.execute(_equals(), given)]
    return random.choice(equals or found[:1])


@cache
def _equals() -> Any:
    """Select the oldest of an owner's runs that are of the same priority as one of them."""
    first = aliased(Run)
    return (
        select(Run.id, Run.times_queued, Run.queue)
        .join(first, first.id == bindparam("first", type_=String))
        .join(Worker, Worker.id == bindparam("worker", type_=String))
        .where(Run.owner == first.owner, Run.priority == first.priority, *_may_take(Run))
        .order_by(Run.queued_at, Run.id)
        .limit(_MOST)
    )


@cache
def _best() -> Any:
    """Select the best run of each owner; like `_turns` put together once, which takes a while."""
    owners, me = _owners_that_wait(), Worker.id == bindparam("worker", type_=String)
    return select(_best_of(owners)).select_from(owners).join(Worker, me)


@cache
def _turns() -> Any:
    """Select those of some runs that a worker may take, the one whose turn it is first.

    A statement of its own: the planner of PostgreSQL takes the candidates for many, and reads the
    whole table.
    """
    offered = bindparam("offered", type_=String)
    active, had = aliased(Run), aliased(Run)
    at_work = select(func.count()).where(active.owner == Run.owner, active.status.in_(HELD))
    last_turn = select(func.max(had.started_at)).where(had.owner == Run.owner).scalar_subquery()
    order = (
        Run.priority.desc(),
        at_work.scalar_subquery(),
        last_turn.is_not(None),
        last_turn,
        case((Run.id == offered, 0), else_=1),
        Run.queued_at,
        Run.id,
    )
    return (
        select(Run.id, Run.times_queued, Run.queue)
        .join(Worker, Worker.id == bindparam("worker", type_=String))
        .where(Run.id.in_(bindparam("candidates", expanding=True)), *_may_take(Run))
        .order_by(*order)
        .limit(_MOST)
    )


def _owners_that_wait() -> CTE:
    """Select each owner of a queued run once, by one look at the index for each."""
    first, later = aliased(Run), aliased(Run)
    begin = select(func.min(first.owner).label("owner")).where(first.status == RunStatus.QUEUED)
    found = begin.cte("owners", recursive=True)
    following = (
        select(func.min(later.owner))
        .where(later.status == RunStatus.QUEUED, later.owner > found.c.owner)
        .scalar_subquery()
    )
    return found.union_all(select(following).where(found.c.owner.is_not(None)))


def _best_of(owners: CTE) -> ScalarSelect[str]:
    """Select the run of an owner that the worker may take first."""
    some, one = aliased(Run), aliased(Run)
    highest = (
        select(some.priority)
        .where(some.owner == owners.c.owner, *_may_take(some))
        .order_by(some.priority.desc())
        .limit(1)
        .correlate(owners, Worker)
        .scalar_subquery()
    )
    return (
        select(one.id)
        .where(one.owner == owners.c.owner, one.priority == highest, *_may_take(one))
        .order_by(one.queued_at, one.id)
        .limit(1)
        .correlate(owners, Worker)
        .scalar_subquery()
    )


def _may_take(run: Any) -> tuple[ColumnElement[bool], ...]:
    """Tell whether a run waits, and whether the worker's row says that it may have it."""
    return (
        run.status == RunStatus.QUEUED,
        run.min_worker_rev <= head_revision(),
        _has(Worker.queues, run.queue),
        _has_memory(func.coalesce(run.memory_needed, 0)),
        or_(_has(Worker.datasets, run.dataset), ~_is_elsewhere(run)),
    )


def tickets(session: Session, run_ids: list[str]) -> list[Ticket]:
    """Return the places of some runs, in their order; none of what is gone."""
    columns = (Run.id, Run.times_queued, Run.queue)
    found: dict[str, Ticket] = {}
    for start in range(0, len(run_ids), 1000):  # databases bound the parameters of a statement
        some = select(*columns).where(Run.id.in_(run_ids[start : start + 1000]))
        found |= {row.id: Ticket(*row) for row in session.execute(some)}
    return [found[run_id] for run_id in run_ids if run_id in found]


def waits(session: Session, run_id: str, times_queued: int) -> bool:
    """Tell whether a run waits, and was queued so many times by now."""
    mine = (Run.id == run_id, Run.status == RunStatus.QUEUED, Run.times_queued == times_queued)
    return session.execute(select(Run.id).where(*mine)).scalar() is not None


def queues(session: Session) -> list[QueueRow]:
    """Return every queue that a run waits in or that a worker of this program serves or served."""
    now = db_now()
    waiting = (
        select(Run.queue, func.count().label("waiting"), func.min(Run.queued_at), now)
        .where(Run.status == RunStatus.QUEUED)
        .group_by(Run.queue)
    )
    rows = {
        queue: QueueRow(queue, number, (at - oldest).total_seconds(), 0)
        for queue, number, oldest, at in session.execute(waiting)
    }
    served: dict[str, int] = {DEFAULT_QUEUE: 0}
    counted = select(Worker.queues, func.sum(case((_is_live(Worker), 1), else_=0)))
    for text, live in session.execute(counted.group_by(Worker.queues)):
        for name in parted(text):
            served[name] = served.get(name, 0) + int(live)
    for name, live in served.items():
        row = rows.get(name, QueueRow(name, 0, None, 0))
        rows[name] = QueueRow(name, row.waiting, row.oldest_seconds, live)
    return [rows[name] for name in sorted(rows, key=lambda name: (name != DEFAULT_QUEUE, name))]


def _has(text: Any, name: Any) -> ColumnElement[bool]:
    """Tell whether a list of names, as `joined` writes it, has a name; no letter is special."""
    found: ColumnElement[bool] = func.replace(text, "," + name + ",", "") != text
    return found


def _has_memory(needed: Any, worker: Any = Worker) -> ColumnElement[bool]:
    """Tell whether a worker's device has so many bytes, or does not say how many it has."""
    return or_(worker.memory_total.is_(None), worker.memory_total >= needed)


def _is_live(worker: Any) -> ColumnElement[bool]:
    """Tell whether a worker is there and knows the tables."""
    return and_(
        worker.state != "stopped",
        worker.revision >= head_revision(),
        ~older_than(worker.last_seen, LIVE_SECONDS),
    )


def _is_elsewhere(run: Any) -> ColumnElement[bool]:
    """Tell whether a live worker that may take a run has its dataset already.

    Where none has it, any may take the run: its trainer fetches the dataset, or says what lacks.
    """
    other = aliased(Worker)
    has_it = (_has(other.queues, run.queue), _has(other.datasets, run.dataset))
    fits = _has_memory(func.coalesce(run.memory_needed, 0), other)
    return exists().where(_is_live(other), *has_it, fits).correlate(run, Worker)
