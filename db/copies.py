"""Finished runs of studies, copied from one database to another, of whatever kind each is."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, insert, or_, select, update
from sqlalchemy.orm import Session

from db.models import (
    ClassMetric,
    ClassSummary,
    Evaluation,
    Metric,
    Run,
    RunStatus,
    RunTag,
    Snapshot,
    StudyCell,
)
from db.portable import searchable
from db.reads.queries import of_study
from db.writes.state_machine import Note, record

ROWS_AT_ONCE = 500
_RECORDED = (Metric, ClassMetric, ClassSummary, Snapshot, Evaluation, RunTag)
_NOT_COPIED: dict[str, Any] = {"idempotency_key": None, "owner": "", "sent_at": None}
"""Of a run's row, what is about the place where it was launched."""


def finished_ids(session: Session, study: str) -> list[str]:
    """Return the ids of the finished runs that a study has, the oldest first."""
    there = select(Run.id).where(
        of_study(study), Run.status == RunStatus.SUCCEEDED, Run.subject_id.is_(None)
    )
    return list(session.execute(there.order_by(Run.created_at, Run.id)).scalars())


def known_ids(session: Session, run_ids: Collection[str]) -> set[str]:
    """Return which of the ids are those of runs here."""
    return set(session.execute(select(Run.id).where(Run.id.in_(run_ids))).scalars())


def copy_run(
    source: Session, target: Session, run_id: str, *, actor: str, with_samples: bool = True
) -> None:
    """Copy a finished run with what it recorded, its tags and notes, and one event that says so.

    Checkpoints, and who trained it where, stay behind: they are about files and hosts that the
    other database does not know.

    Args:
        source: A reading session.
        target: A writing one of another database, where no such run is.
        run_id: Which run.
        actor: Who copies it.
        with_samples: Whether what is kept per sample comes along, of its last recorded epoch;
            without, no quantity of samples and no loss of single batches does.
    """
    row = dict(source.execute(select(Run.__table__).where(Run.id == run_id)).mappings().one())
    target.execute(insert(Run), [{**row, **_NOT_COPIED}])
    for model in _RECORDED:
        chosen = select(model.__table__).where(*_kept(model, row, with_samples=with_samples))
        found = source.execute(chosen.execution_options(yield_per=ROWS_AT_ONCE)).mappings()
        for part in found.partitions(ROWS_AT_ONCE):
            target.execute(insert(model), [dict(one) for one in part])
    edge = (None, RunStatus.SUCCEEDED)
    record(target, run_id, row["attempt"], edge=edge, note=Note(actor, "imported"))


def _kept(model: Any, run: dict[str, Any], *, with_samples: bool) -> Iterable[ColumnElement[bool]]:
    yield model.run_id == run["id"]
    if model is Metric and not with_samples:
        yield model.name != "batch_loss"
    if model is ClassSummary:
        yield model.epoch == run["epoch"] if with_samples else model.epoch < 0
    if model is Snapshot:
        who_they_are = and_(model.epoch == 0, model.kind == "samples")
        last = or_(model.epoch == run["epoch"], who_they_are)
        yield last if with_samples else model.epoch < 0


def copy_cells(source: Session, target: Session, run_id: str, *, studies: Sequence[str]) -> None:
    """Have the studies call a run in the other database what they call it here."""
    names = [searchable(study) for study in studies]
    cells = select(StudyCell.__table__).where(
        StudyCell.run_id == run_id, StudyCell.study.in_(names)
    )
    there = select(StudyCell.study).where(StudyCell.run_id == run_id)
    known = set(target.execute(there).scalars())
    for cell in source.execute(cells).mappings():
        if cell["study"] not in known:
            target.execute(insert(StudyCell), [dict(cell)])


def set_home(session: Session, homes: Mapping[str, str]) -> None:
    """Have each run, by its id, belong to a study; nobody else's name stays."""
    for run_id, study in homes.items():
        session.execute(update(Run).where(Run.id == run_id).values(study=searchable(study)))


def lowest_seeds(session: Session, study: str) -> set[str]:
    """Return, of each row of a study, the id of the finished run with the lowest seed."""
    named = and_(StudyCell.run_id == Run.id, StudyCell.study == searchable(study))
    columns = (Run.id, Run.method, Run.dataset, StudyCell.scenario, StudyCell.method)
    there = (
        select(*columns)
        .outerjoin(StudyCell, named)
        .where(of_study(study), Run.status == RunStatus.SUCCEEDED, Run.subject_id.is_(None))
    )
    found: dict[tuple[Any, ...], str] = {}
    for run_id, *row in session.execute(there.order_by(Run.seed, Run.created_at)):
        found.setdefault(tuple(row), run_id)
    return set(found.values())
