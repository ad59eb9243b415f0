"""Runs put together by what they share, with the means of their errors."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import Run, RunTag
from db.reads.columns import epsilon, error, imbalance_factor, noise_kind, noise_ratio, norm
from db.reads.listing import RunFilter, conditions, trained

GROUPED = ("method", "scenario", "study", "tag")
"""By what runs can be put together."""


@dataclass(frozen=True)
class Group:
    """Runs that share something: how many, and their mean errors, shares of 1."""

    key: tuple[Any, ...]
    number: int
    natural_error: float | None
    robust_error: float | None
    worst_robust_error: float | None


def groups(session: Session, wanted: RunFilter, by: str, *, at_most: int = 500) -> list[Group]:
    """Return the runs that are wanted put together by one of `GROUPED`, the largest group first.

    A run with several tags counts in the group of each.
    """
    keys: dict[str, tuple[Any, ...]] = {
        "method": (Run.method,),
        "scenario": (Run.dataset, noise_kind, noise_ratio, imbalance_factor, norm, epsilon),
        "study": (Run.study,),
        "tag": (RunTag.tag,),
    }
    labelled = [key.label(f"key{place}") for place, key in enumerate(keys[by])]
    errors = ("natural_error", "robust_error", "worst_robust_error")
    each = select(*labelled, *(error(name).label(name) for name in errors)).select_from(Run)
    if by == "tag":
        each = each.join(RunTag, RunTag.run_id == Run.id)
    rows = each.where(*trained(), *conditions(wanted)).subquery()
    found = [rows.c[f"key{place}"] for place in range(len(labelled))]
    means = [func.avg(rows.c[name]) for name in errors]
    number = func.count().label("number")
    ordered_groups = select(*found, number, *means).group_by(*found).order_by(number.desc(), *found)
    width = len(found)
    return [
        Group(tuple(row[:width]), *row[width:])
        for row in session.execute(ordered_groups.limit(at_most))
    ]
