"""Reads over many finished runs at once, each in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.models import (
    FINAL,
    ClassMetric,
    Evaluation,
    Metric,
    Run,
    RunStatus,
    StudyCell,
)
from db.portable import searchable
from db.reads.headline import ERRORS, NATURAL_ERROR, ROBUST_ERROR
from db.reads.queries import of_study

if TYPE_CHECKING:
    import pandas as pd

OVERALL = (NATURAL_ERROR, ROBUST_ERROR, f"worst_{NATURAL_ERROR}", f"worst_{ROBUST_ERROR}")
"""Of a whole split, average and worst class: what is seen with and without an attack."""

EVERY_OVERALL = (*ERRORS, *(f"worst_{name}" for name in ERRORS))
"""The same with what lies between the two."""


@dataclass(frozen=True)
class CellNames:
    """What a study calls one of its runs, and where in its file that stands."""

    scenario: str
    method: str
    family: str
    """The method alone, where a sweep made several rows of it."""
    place: int


@dataclass(frozen=True)
class FinishedRow:
    """One run that has its test results."""

    id: str
    name: str
    method: str
    dataset: str
    seed: int
    study: str | None
    scenario: dict[str, Any]
    card: dict[str, Any] | None
    """The protocol of its test; a run of an older version may have none."""
    class_names: list[str] | None
    cell: CellNames | None = None
    """In the study that was asked for; none if that was launched without a file."""


def finished_runs(session: Session, limit: int = 1000) -> list[FinishedRow]:
    """Return the finished runs, newest first."""
    found = session.execute(_finished().order_by(*_NEWEST).limit(limit))
    return [FinishedRow(*row) for row in found]


def finished_among(session: Session, run_ids: Sequence[str]) -> list[FinishedRow]:
    """Return those of the runs that are finished, newest first."""
    found = session.execute(_finished().where(Run.id.in_(run_ids)).order_by(*_NEWEST))
    return [FinishedRow(*row) for row in found]


def finished_of(session: Session, study: str) -> list[FinishedRow]:
    """Return the finished runs of a study, newest first."""
    named = and_(StudyCell.run_id == Run.id, StudyCell.study == searchable(study))
    names = (StudyCell.scenario, StudyCell.method, StudyCell.family, StudyCell.place)
    known = _finished().add_columns(*names).outerjoin(StudyCell, named)
    found = session.execute(known.where(of_study(study)).order_by(*_NEWEST)).all()
    rows = [(FinishedRow(*row[: -len(names)]), row) for row in found]
    return [
        one if row.place is None else replace(one, cell=CellNames(*row[-len(names) :]))
        for one, row in rows
    ]


_NEWEST = (Run.ended_at.desc(), Run.id)


def _finished() -> Select[Any]:
    columns = (
        *(Run.id, Run.name, Run.method, Run.dataset, Run.seed, Run.study, Run.scenario),
        *(Run.evaluation_card, Run.facts["class_names"]),
    )
    return select(*columns).where(Run.status == RunStatus.SUCCEEDED, Run.subject_id.is_(None))


@dataclass(frozen=True)
class AttackedRow:
    """One attack on a run besides the one that ended its training."""

    run_id: str
    name: str
    card: dict[str, Any]
    created_at: datetime


def attacks_on(session: Session, run_ids: Sequence[str]) -> list[AttackedRow]:
    """Return what runs were attacked with after their training, newest first."""
    columns = [getattr(Evaluation, name) for name in AttackedRow.__dataclass_fields__]
    stored = select(*columns).where(
        Evaluation.run_id.in_(run_ids), Evaluation.kind == "attack", Evaluation.name != FINAL
    )
    newest = stored.order_by(Evaluation.created_at.desc(), Evaluation.name)
    return [AttackedRow(*row) for row in session.execute(newest)]


def overall_errors(
    session: Session, run_ids: Sequence[str], split: str, *, names: Sequence[str] = OVERALL
) -> pd.DataFrame:
    """Return the average and worst-class errors of runs: run_id, name, epoch, value."""
    columns = (Metric.run_id, Metric.name, Metric.epoch, Metric.value)
    found = _of_runs(Metric, columns, run_ids, split=split, names=names)
    return _frame(session, found.order_by(Metric.run_id, Metric.name, Metric.step), columns)


def class_errors(session: Session, run_ids: Sequence[str], split: str = "test") -> pd.DataFrame:
    """Return the three errors of every class of runs: run_id, name, class_index, value, n."""
    columns = (
        *(ClassMetric.run_id, ClassMetric.name, ClassMetric.class_index),
        *(ClassMetric.value, ClassMetric.n),
    )
    found = _of_runs(ClassMetric, columns, run_ids, split=split, names=ERRORS)
    ordered = found.order_by(ClassMetric.run_id, ClassMetric.name, ClassMetric.class_index)
    return _frame(session, ordered, columns)


def _of_runs(
    model: Any,
    columns: Iterable[InstrumentedAttribute[Any]],
    run_ids: Sequence[str],
    *,
    split: str,
    names: Sequence[str],
) -> Select[Any]:
    """Select by the first three columns of the key, so that no other row is looked at."""
    key = (model.run_id.in_(run_ids), model.split == split, model.name.in_(names))
    return select(*columns).where(*key)


def _frame(
    session: Session, statement: Select[Any], columns: Sequence[InstrumentedAttribute[Any]]
) -> pd.DataFrame:
    """Return a frame whose columns have the same types with and without rows."""
    import pandas as pd

    rows = session.execute(statement).all()
    types: dict[str, Any] = {"run_id": object, "name": object, "value": "float64"}
    table = {
        column.key: pd.Series([row[place] for row in rows], dtype=types.get(column.key, "int64"))
        for place, column in enumerate(columns)
    }
    return pd.DataFrame(table)
