"""The few numbers that stand for a run in a list, for many runs in two statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Subquery, literal, select, union_all
from sqlalchemy.orm import Session, aliased

from db.models import ClassMetric, Metric, Run

NATURAL_ERROR, BOUNDARY_ERROR, ROBUST_ERROR = "natural_error", "boundary_error", "robust_error"
ERRORS = (NATURAL_ERROR, BOUNDARY_ERROR, ROBUST_ERROR)
"""As `engine.evaluation.statistics` names them, which the database does not know."""
_SPLITS = ("test", "validation")
_WORST = (f"worst_{NATURAL_ERROR}", f"worst_{BOUNDARY_ERROR}")
"""Of the robust error its class is told as well."""


@dataclass(frozen=True)
class Headline:
    """Newest errors of a run, all from one split: test if there, else validation."""

    result_split: str | None = None
    natural_error: float | None = None
    boundary_error: float | None = None
    robust_error: float | None = None
    worst_robust_error: float | None = None
    worst_class: int | None = None
    worst_natural_error: float | None = None
    worst_boundary_error: float | None = None


def headlines(session: Session, run_ids: Sequence[str]) -> dict[str, Headline]:
    """Return the headline of every run that has one."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for run_id, split, name, value in session.execute(_newest_errors(run_ids)):
        if value is not None:
            found.setdefault((run_id, split), {})[name] = value
    for run_id, split, worst_class, worst in session.execute(_worst_classes(run_ids)):
        if (run_id, split) in found:
            found[run_id, split] |= {"worst_class": worst_class, "worst_robust_error": worst}
    return {
        run_id: Headline(split, **found[run_id, split])
        for split in reversed(_SPLITS)  # what comes last wins: test
        for run_id in run_ids
        if (run_id, split) in found
    }


# Scalar subqueries and no joins: each is one seek in a primary key, whatever the planner thinks.


def _newest_errors(run_ids: Sequence[str]) -> Select[Any]:
    """Select run, split, name and the newest value, if any."""
    slot = _slots((*ERRORS, *_WORST))
    newest = (
        select(Metric.value)
        .where(Metric.run_id == Run.id, Metric.split == slot.c.split, Metric.name == slot.c.name)
        .order_by(Metric.step.desc())
        .limit(1)
        .correlate(Run, slot)
        .scalar_subquery()
    )
    columns = (Run.id, slot.c.split, slot.c.name, newest)
    return select(*columns).join(slot, literal(True)).where(Run.id.in_(run_ids))


def _worst_classes(run_ids: Sequence[str]) -> Select[Any]:
    """Select run, split, and the class and value of the newest epoch's largest robust error."""
    slot = _slots((ROBUST_ERROR,))
    other = aliased(ClassMetric)
    newest = (
        select(other.epoch)
        .where(other.run_id == Run.id, other.split == slot.c.split, other.name == slot.c.name)
        .order_by(other.epoch.desc())
        .limit(1)
        .correlate(Run, slot)
        .scalar_subquery()
    )
    worst = [
        select(column)
        .where(
            ClassMetric.run_id == Run.id,
            ClassMetric.split == slot.c.split,
            ClassMetric.name == slot.c.name,
            ClassMetric.epoch == newest,
            ClassMetric.n > 0,
            ClassMetric.value.is_not(None),
        )
        .order_by(ClassMetric.value.desc(), ClassMetric.class_index)
        .limit(1)
        .correlate(Run, slot)
        .scalar_subquery()
        for column in (ClassMetric.class_index, ClassMetric.value)
    ]
    columns = (Run.id, slot.c.split, *worst)
    return select(*columns).join(slot, literal(True)).where(Run.id.in_(run_ids))


def _slots(names: Sequence[str]) -> Subquery:
    """Return a table of every split and name."""
    rows = [
        select(literal(split).label("split"), literal(name).label("name"))
        for split in _SPLITS
        for name in names
    ]
    return union_all(*rows).subquery("slot")
