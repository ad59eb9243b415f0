"""Every read: rows are plain dataclasses, series are data frames, none needs a session later.

Pandas and Arrow are loaded by the reads that need them: most commands read rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, or_, select
from sqlalchemy.orm import Session

from db.migrate import head_revision
from db.models import (
    ACTIVE,
    Attempt,
    Checkpoint,
    ClassMetric,
    Metric,
    Run,
    RunEvent,
    RunStatus,
    RunTag,
    StudyCell,
    Worker,
)
from db.portable import searchable
from db.reads.headline import ERRORS, ROBUST_ERROR, Headline, headlines
from db.reads.leases import holder_of
from db.reads.rows import AttemptRow, CheckpointRow, EventRow, RunDetail, RunRow, WorkerRow
from db.types import db_now

_RUN_COLUMNS = [
    name
    for name in (field.name for field in fields(RunRow))
    if name in Run.__table__.columns and name != "id"
]
_DETAIL_COLUMNS = [
    "scenario",
    "scenario_digest",
    "data_digest",
    "facts",
    "evaluation_card",
    "infra_attempts",
    "queue",
    "priority",
    "owner",
    "memory_needed",
]
_MAX_FOUND = 20

RowT = TypeVar("RowT", AttemptRow, EventRow)


def list_runs(
    session: Session,
    limit: int = 500,
    offset: int = 0,
    *,
    where: Sequence[ColumnElement[bool]] = (),
) -> list[RunRow]:
    """Return trained runs, newest first, in four statements however many there are."""
    return _list(session, limit, offset, where=[Run.subject_id.is_(None), *where])


def of_study(name: str) -> ColumnElement[bool]:
    """Return the condition on runs that a study has: it launched them, or shares them."""
    cells = select(StudyCell.run_id).where(StudyCell.study == searchable(name))
    return or_(Run.study == searchable(name), Run.id.in_(cells))


def list_jobs(session: Session, subject_id: str | None = None, limit: int = 500) -> list[RunRow]:
    """Return jobs, of all runs or of one, newest first."""
    about_it = [Run.subject_id.is_not(None) if subject_id is None else Run.subject_id == subject_id]
    return _list(session, limit, 0, where=about_it)


def _list(
    session: Session, limit: int, offset: int, *, where: Sequence[ColumnElement[bool]]
) -> list[RunRow]:
    newest = select_runs().order_by(Run.created_at.desc(), Run.id).limit(limit).offset(offset)
    there = newest.where(Run.status != RunStatus.DELETING, *where)
    found = session.execute(there).mappings().all()
    run_ids = [row["id"] for row in found]
    results, tags = headlines(session, run_ids), tags_of(session, run_ids)
    return [
        RunRow(**run_values(row, results.get(row["id"])), tags=tags.get(row["id"], ()))
        for row in found
    ]


def tags_of(session: Session, run_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the tags of runs that have any, in the order of the alphabet."""
    wanted = select(RunTag.run_id, RunTag.tag).where(RunTag.run_id.in_(run_ids))
    found: dict[str, list[str]] = {}
    for run_id, tag in session.execute(wanted.order_by(RunTag.tag)):
        found.setdefault(run_id, []).append(tag)
    return {run_id: tuple(tags) for run_id, tags in found.items()}


def get_run(session: Session, run_id: str) -> RunDetail | None:
    """Return one run whole, or nothing: no such run."""
    more = [getattr(Run, name) for name in _DETAIL_COLUMNS]
    wanted = select_runs().add_columns(*more).where(Run.id == searchable(run_id))
    row = session.execute(wanted).mappings().first()
    if row is None:
        return None
    values = run_values(row, headlines(session, [run_id]).get(run_id))
    details = {name: row[name] for name in _DETAIL_COLUMNS}
    attempts = _rows(
        session, AttemptRow, Attempt, condition=Attempt.run_id == run_id, order=Attempt.number
    )
    tags = tags_of(session, [run_id]).get(run_id, ())
    return RunDetail(**values, **details, attempts=attempts, tags=tags)


def find_runs(session: Session, prefix: str) -> list[str]:
    """Return the ids, at most 20, that begin so; one of them means that the prefix is enough."""
    begins = Run.id.startswith(searchable(prefix).lower(), autoescape=True)
    return list(session.execute(select(Run.id).where(begins).limit(_MAX_FOUND)).scalars())


def run_count(session: Session) -> int:
    """Return the number of trained runs."""
    trained = (Run.status != RunStatus.DELETING, Run.subject_id.is_(None))
    there = select(func.count()).select_from(Run).where(*trained)
    return session.execute(there).scalar_one()


def queue_length(session: Session) -> int:
    """Return the number of runs that wait for a worker."""
    waiting = select(func.count()).select_from(Run).where(Run.status == RunStatus.QUEUED)
    return session.execute(waiting).scalar_one()


def status_counts(session: Session) -> dict[RunStatus, int]:
    """Return how many runs, jobs too, stand where something may be left to do."""
    unsettled = (*ACTIVE, RunStatus.DELETING)
    counted = select(Run.status, func.count().label("number")).where(Run.status.in_(unsettled))
    rows = session.execute(counted.group_by(Run.status))
    return {row.status: row.number for row in rows}


def runs_with_status(session: Session, status: RunStatus) -> list[str]:
    """Return the ids of the runs that stand there, oldest first."""
    found = select(Run.id).where(Run.status == status).order_by(Run.created_at, Run.id)
    return list(session.execute(found).scalars())


def events(session: Session, run_id: str) -> list[EventRow]:
    """Return what happened to a run, oldest first."""
    return _rows(
        session, EventRow, RunEvent, condition=RunEvent.run_id == run_id, order=RunEvent.id
    )


def checkpoints(session: Session, run_id: str) -> list[CheckpointRow]:
    """Return the checkpoints of a run, newest first, and where their files are."""
    wrote = (Attempt.run_id == Checkpoint.run_id) & (Attempt.number == Checkpoint.attempt)
    columns = [
        func.coalesce(getattr(Attempt, name), "")
        if name in ("host", "lock_domain", "data_dir")
        else getattr(Checkpoint, name)
        for name in CheckpointRow.__dataclass_fields__
    ]
    found = select(*columns).join(Attempt, wrote, isouter=True).where(Checkpoint.run_id == run_id)
    return [CheckpointRow(*row) for row in session.execute(found.order_by(Checkpoint.epoch.desc()))]


def workers(
    session: Session, *, there: bool = False, within: float | None = None
) -> list[WorkerRow]:
    """Return the workers that ever reported, the most recently seen first.

    Args:
        session: To read.
        there: Leave out those that have ended.
        within: Leave out those that have said nothing for so many seconds.
    """
    statement = select(Worker, db_now().label("now")).order_by(Worker.last_seen.desc(), Worker.id)
    if there:
        statement = statement.where(Worker.state != "stopped")
    if within is not None:
        statement = statement.where(Worker.last_seen > db_now(-within))
    computed = {"seconds_since_seen", "too_old"}
    names = [field.name for field in fields(WorkerRow) if field.name not in computed]
    return [
        WorkerRow(
            **{name: getattr(worker, name) for name in names},
            seconds_since_seen=(now - worker.last_seen).total_seconds(),
            too_old=worker.revision < head_revision(),
        )
        for worker, now in session.execute(statement)
    ]


def final_metrics(session: Session, run_id: str) -> dict[str, Any] | None:
    """Return the errors on the test split, overall and per class, as ``caat run --json`` does."""
    run = session.execute(select(Run.facts).where(Run.id == run_id)).first()
    mine = (Metric.run_id == run_id, Metric.split == "test")
    tested = select(Metric.name, Metric.value).where(*mine).order_by(Metric.step)
    averages = {row.name: row.value for row in session.execute(tested)}
    if run is None or not averages:
        return None
    names = (run.facts or {}).get("class_names") or []
    return {
        error: {"average": averages[error], **_by_class(session, run_id, error, names=names)}
        for error in ERRORS
        if error in averages
    }


def _by_class(session: Session, run_id: str, error: str, *, names: list[str]) -> dict[str, Any]:
    """Return an error of every class in the newest epoch that has it, and the worst class."""
    mine = (ClassMetric.run_id == run_id, ClassMetric.split == "test", ClassMetric.name == error)
    newest = select(func.max(ClassMetric.epoch)).where(*mine).scalar_subquery()
    columns = (ClassMetric.class_index, ClassMetric.value, ClassMetric.n)
    found = select(*columns).where(*mine, ClassMetric.epoch == newest)
    rows = session.execute(found.order_by(ClassMetric.class_index)).all()
    measured = [(value, place) for place, value, n in rows if n > 0 and value is not None]
    worst, place = max(measured, key=lambda one: one[0], default=(None, None))
    return {
        "worst": worst,
        "worst_class": None if place is None else _class_name(place, names),
        "per_class": [
            {"class": _class_name(place, names), "value": value, "n": n} for place, value, n in rows
        ],
    }


def _class_name(place: int, names: list[str]) -> str:
    return names[place] if place < len(names) else str(place)


def select_runs() -> Select[Any]:
    """Select runs with where their current attempt is."""
    place = (Attempt.phase, Attempt.step, Attempt.num_steps, Attempt.worker_id)
    return select(
        Run.id,
        *(getattr(Run, name) for name in _RUN_COLUMNS),
        *place,
        Attempt.epoch.label("attempt_epoch"),
        Attempt.started_at.label("attempt_started_at"),
        func.coalesce(Attempt.progress_at, Attempt.started_at).label("got_on_at"),
        *(Attempt.host, Attempt.boot_id, Attempt.lock_domain, Attempt.data_dir),
        *(Attempt.lease_until, Attempt.lease_seconds),
        db_now().label("now"),
        Attempt.ended_at.label("attempt_ended_at"),
        _first_epoch().label("first_epoch"),
    ).outerjoin(Attempt, (Attempt.run_id == Run.id) & (Attempt.number == Run.attempt))


def _first_epoch() -> ScalarSelect[int]:
    """Select the first epoch that the attempt in work has recorded, if any."""
    return (
        select(func.min(Metric.epoch))
        .where(
            *(Metric.run_id == Run.id, Metric.attempt == Run.attempt),
            *(Metric.split == "validation", Metric.name == ROBUST_ERROR),
            Run.status == RunStatus.RUNNING,
        )
        .correlate(Run)
        .scalar_subquery()
    )


def run_values(row: Any, result: Headline | None) -> dict[str, Any]:
    in_work = row["phase"] is not None and row["attempt_ended_at"] is None
    step, num_steps = (row["step"], row["num_steps"]) if in_work else (0, 0)
    # An epoch that is recorded has its steps counted already.
    begun = step / num_steps if num_steps and row["attempt_epoch"] > row["epoch"] else 0.0
    # A run may succeed before its last epoch: by then no more is to come.
    done = (
        1.0 if row["status"] == RunStatus.SUCCEEDED else (row["epoch"] + begun) / row["num_epochs"]
    )
    return {
        "id": row["id"],
        **{name: row[name] for name in _RUN_COLUMNS},
        "phase": row["phase"] if in_work else None,
        "step": step,
        "num_steps": num_steps,
        "worker_id": row["worker_id"],
        "attempt_started_at": row["attempt_started_at"],
        "epochs_before": row["epoch"] if row["first_epoch"] is None else row["first_epoch"] - 1,
        "progress": min(1.0, done),
        "seconds_still": (row["now"] - row["got_on_at"]).total_seconds() if in_work else None,
        "holder": holder_of(row, row["id"], row["attempt"]) if in_work else None,
        **vars(result or Headline()),
    }


def _rows(
    session: Session, row_type: type[RowT], model: Any, *, condition: Any, order: Any
) -> list[RowT]:
    columns = [getattr(model, name) for name in row_type.__dataclass_fields__]
    found = session.execute(select(*columns).where(condition).order_by(order))
    return [row_type(*row) for row in found]
