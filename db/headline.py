"""The few numbers that stand for a run in a list, for many runs in two statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Subquery, func, literal, select, union_all
from sqlalchemy.orm import Session

from db.models import ClassMetric, Metric, Run

ERRORS = ("natural_error", "boundary_error", "robust_error")
_SPLITS = ("test", "validation")


@dataclass(frozen=True)
class Headline:
    """Newest errors of a run, all from one split: test if there, else validation."""

    result_split: str | None = None
    natural_error: float | None = None
    boundary_error: float | None = None
    robust_error: float | None = None
    worst_robust_error: float | None = None
    worst_class: int | None = None


def headlines(session: Session, run_ids: Sequence[str]) -> dict[str, Headline]:
    """Return the headline of every run that has one."""
    errors: dict[tuple[str, str], dict[str, Any]] = {}
    for run_id, split, name, value in session.execute(_newest_errors(run_ids)):
        errors.setdefault((run_id, split), {})[name] = value
    for run_id, split, class_index, value in session.execute(_worst_classes(run_ids)):
        if (run_id, split) in errors:
            worst = {"worst_class": class_index, "worst_robust_error": value}
            errors[run_id, split].update(worst)
    return {
        run_id: Headline(split, **errors[run_id, split])
        for split in reversed(_SPLITS)  # what comes last wins: test
        for run_id in run_ids
        if (run_id, split) in errors
    }


def _newest_errors(run_ids: Sequence[str]) -> Any:
    """Select run, split, name and value; one seek in the primary key for each of them."""
    slots = _slots(ERRORS)
    newest = (
        select(func.max(Metric.step))
        .where(Metric.run_id == Run.id, Metric.split == slots.c.split, Metric.name == slots.c.name)
        .correlate(Run, slots)
        .scalar_subquery()
    )
    wanted = (
        select(Run.id, slots.c.split, slots.c.name, newest.label("step"))
        .join(slots, literal(True))
        .where(Run.id.in_(run_ids))
        .subquery()
    )
    return select(Metric.run_id, Metric.split, Metric.name, Metric.value).join(
        wanted,
        (Metric.run_id == wanted.c.id)
        & (Metric.split == wanted.c.split)
        & (Metric.name == wanted.c.name)
        & (Metric.step == wanted.c.step),
    )


def _worst_classes(run_ids: Sequence[str]) -> Any:
    """Select run, split, class and value of the largest robust error of the newest epoch."""
    slots = _slots(("robust_error",))
    mine = (
        ClassMetric.run_id == Run.id,
        ClassMetric.split == slots.c.split,
        ClassMetric.name == slots.c.name,
    )
    newest = select(func.max(ClassMetric.epoch)).where(*mine).correlate(Run, slots)
    epochs = (
        select(Run.id, slots.c.split, slots.c.name, newest.scalar_subquery().label("epoch"))
        .join(slots, literal(True))
        .where(Run.id.in_(run_ids))
        .subquery()
    )
    rank = func.row_number().over(
        partition_by=(ClassMetric.run_id, ClassMetric.split),
        order_by=(ClassMetric.value.desc(), ClassMetric.class_index),
    )
    ranked = (
        select(
            ClassMetric.run_id,
            ClassMetric.split,
            ClassMetric.class_index,
            ClassMetric.value,
            rank.label("rank"),
        )
        .join(
            epochs,
            (ClassMetric.run_id == epochs.c.id)
            & (ClassMetric.split == epochs.c.split)
            & (ClassMetric.name == epochs.c.name)
            & (ClassMetric.epoch == epochs.c.epoch),
        )
        .where(ClassMetric.n > 0, ClassMetric.value.is_not(None))
        .subquery()
    )
    columns = (ranked.c.run_id, ranked.c.split, ranked.c.class_index, ranked.c.value)
    return select(*columns).where(ranked.c.rank == 1)


def _slots(names: Sequence[str]) -> Subquery:
    pairs = [(split, name) for split in _SPLITS for name in names]
    return union_all(
        *(
            select(literal(split).label("split"), literal(name).label("name"))
            for split, name in pairs
        )
    ).subquery("slot")
