"""The list of runs, a page at a time: filtered, counted and thinned by the database."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from db.models import Metric, Run, RunEvent, RunStatus, RunTag, StudyCell
from db.portable import searchable
from db.reads import queries, search
from db.reads.columns import ordered
from db.reads.headline import ROBUST_ERROR
from db.reads.rows import RunRow
from db.types import db_now

CURVE_POINTS = 40
"""Of one run's curve in the list, at most so many and the newest."""


@dataclass(frozen=True)
class RunFilter:
    """Which runs are wanted: those that a text means, see `db.reads.search`, and of these.

    An empty one wants all.
    """

    text: str = ""
    statuses: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """By which column of the list runs stand; a run without a value stands last."""

    column: str = "created"
    descending: bool = True


NEWEST_FIRST = Order()


@dataclass(frozen=True)
class Overview:
    """What there is, and what is newest in it.

    Attributes:
        token: Grows with every change of any run's status, so that an equal one means no news.
        counts: How many trained runs stand where; jobs about them are not counted.
        newest_result: The run that succeeded last.
    """

    token: int
    counts: dict[str, int]
    newest_result: RunRow | None


def overview(session: Session) -> Overview:
    """Return what there is, from indexes alone."""
    token = session.execute(select(func.max(RunEvent.id))).scalar() or 0
    stands = select(Run.status, func.count()).group_by(Run.status)
    counts = Counter({status.value: number for status, number in session.execute(stands)})
    jobs = session.execute(stands.where(Run.subject_id.is_not(None)))
    counts.subtract({status.value: number for status, number in jobs})
    counts.pop(RunStatus.DELETING, None)
    there = {status: number for status, number in counts.items() if number}
    return Overview(token, there, _newest_result(session))


def _newest_result(session: Session) -> RunRow | None:
    """Return the run that succeeded last, of those that are not being deleted."""
    ended = (
        select(RunEvent.run_id)
        .join(Run, Run.id == RunEvent.run_id)
        .where(RunEvent.to_status == RunStatus.SUCCEEDED, Run.status == RunStatus.SUCCEEDED)
        .where(Run.subject_id.is_(None))
        # A remark on a run that succeeded is no news of it.
        .where(RunEvent.from_status.is_distinct_from(RunStatus.SUCCEEDED))
        .order_by(RunEvent.id.desc())
        .limit(1)
    )
    found = queries.list_runs(session, 1, where=[Run.id == ended.scalar_subquery()])
    return found[0] if found else None


def runs(
    session: Session,
    wanted: RunFilter,
    first: int,
    *,
    number: int,
    order: Order = NEWEST_FIRST,
) -> tuple[list[RunRow], int]:
    """Return some of the runs that are wanted, in their order, and how many there are in all."""
    in_all = session.execute(_there(func.count(), wanted)).scalar_one()
    by = ordered(order.column, descending=order.descending)
    page = _there(Run.id, wanted).order_by(*by).limit(number).offset(first)
    ids = list(session.execute(page).scalars())
    found = {row.id: row for row in queries.list_runs(session, number, where=[Run.id.in_(ids)])}
    return [found[run_id] for run_id in ids if run_id in found], in_all


def ids_of(session: Session, wanted: RunFilter, *, at_most: int) -> list[str]:
    """Return the ids of the runs that are wanted, newest first."""
    there = _there(Run.id, wanted).order_by(Run.created_at.desc(), Run.id).limit(at_most)
    return list(session.execute(there).scalars())


def rows_of(session: Session, run_ids: Sequence[str]) -> list[RunRow]:
    """Return the trained runs that still are there, in the order of the ids."""
    found = {
        row.id: row
        for part in range(0, len(run_ids), _AT_ONCE)
        for row in queries.list_runs(
            session, _AT_ONCE, where=[Run.id.in_(run_ids[part : part + _AT_ONCE])]
        )
    }
    return [found[run_id] for run_id in run_ids if run_id in found]


_AT_ONCE = 500


def succeeded(session: Session, run_ids: Sequence[str]) -> list[str]:
    """Return which of the runs have succeeded, in the order of the ids."""
    done = set(
        session.execute(
            select(Run.id).where(Run.id.in_(run_ids), Run.status == RunStatus.SUCCEEDED)
        ).scalars()
    )
    return [run_id for run_id in run_ids if run_id in done]


def _there(what: Any, wanted: RunFilter) -> Select[Any]:
    """Select something of the trained runs that are wanted."""
    return select(what).select_from(Run).where(*trained(), *conditions(wanted))


def trained() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on what the list shows: no job, and nothing that is going."""
    return (Run.status != RunStatus.DELETING, Run.subject_id.is_(None))


def conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    """Return what has to hold of a run that a filter wants."""
    columns: list[tuple[Any, tuple[str, ...]]] = [
        (Run.status, wanted.statuses),
        (Run.method, tuple(map(searchable, wanted.methods))),
        (Run.dataset, tuple(map(searchable, wanted.datasets))),
    ]
    found = [column.in_(allowed) for column, allowed in columns if allowed]
    if wanted.tags:
        found.append(search.tagged(wanted.tags))
    if wanted.studies:
        found.append(or_(*map(queries.of_study, wanted.studies)))
    return search.conditions(wanted.text) + found


def started_lately(
    session: Session, digest: str, actor: str, *, seconds: float
) -> tuple[str, float] | None:
    """Return the newest run of a scenario that someone queued in the last seconds, and its age.

    Args:
        session: To read.
        digest: Of the scenario.
        actor: Who queued it.
        seconds: How far back to look, by the database's clock.
    """
    lately = (
        select(Run.id, Run.created_at, db_now().label("now"))
        .join(RunEvent)
        .where(
            Run.scenario_digest == digest,
            Run.subject_id.is_(None),
            Run.created_at > db_now(-seconds),
            RunEvent.from_status.is_(None),
            RunEvent.actor == actor,
        )
    )
    found = session.execute(lately.order_by(Run.created_at.desc(), Run.id).limit(1)).first()
    return found and (found.id, (found.now - found.created_at).total_seconds())


@dataclass(frozen=True)
class Choices:
    """What there are runs of, to choose from."""

    methods: list[str]
    datasets: list[str]
    tags: list[str]
    studies: list[str]


def choices(session: Session) -> Choices:
    """Return what the runs that there are can be narrowed by."""
    pairs = select(Run.method, Run.dataset).where(Run.subject_id.is_(None))
    found = session.execute(pairs.distinct()).all()
    tags = select(RunTag.tag).distinct().order_by(RunTag.tag)
    launched = select(Run.study).where(Run.study.is_not(None)).distinct()
    shared = select(StudyCell.study).distinct()
    studies = {
        name for query in (launched, shared) for name in session.execute(query).scalars() if name
    }
    return Choices(
        sorted({row.method for row in found}),
        sorted({row.dataset for row in found}),
        list(session.execute(tags).scalars()),
        sorted(studies),
    )


def scenarios(session: Session, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the scenarios of runs, which never change."""
    found = session.execute(select(Run.id, Run.scenario).where(Run.id.in_(run_ids)))
    return {row.id: row.scenario for row in found}


def curves(session: Session, run_ids: Sequence[str]) -> dict[str, list[float]]:
    """Return robust accuracy on validation data, oldest first, thinned, of runs that have any."""
    apart = Run.num_epochs // CURVE_POINTS + 1
    thinned = or_(Metric.epoch % apart == 0, Metric.epoch == Run.epoch)
    statement = (
        select(Metric.run_id, Metric.value)
        .join(Run, Run.id == Metric.run_id)
        .where(
            *(Metric.run_id.in_(run_ids), Metric.split == "validation"),
            *(Metric.name == ROBUST_ERROR, Metric.value.is_not(None), thinned),
        )
        .order_by(Metric.run_id, Metric.step)
    )
    found: dict[str, list[float]] = {}
    for run_id, error in session.execute(statement):
        assert error is not None
        found.setdefault(run_id, []).append(1 - error)
    return found
