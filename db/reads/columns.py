"""What the list of runs shows of a run, as expressions that the database filters and sorts by."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Float, case, cast, func, select

from db.models import ClassMetric, Metric, Run, RunStatus, RunTag
from db.reads.headline import ERRORS, ROBUST_ERROR

noise_kind = Run.scenario[("data", "noise", "kind")].as_string()
noise_ratio = Run.scenario[("data", "noise", "ratio")].as_float()
imbalance_factor = Run.scenario[("data", "imbalance", "factor")].as_float()
norm = Run.scenario[("threat", "norm")].as_string()
epsilon = Run.scenario[("threat", "epsilon")].as_float()
progress = case(
    (Run.status == RunStatus.SUCCEEDED, 1.0),
    else_=cast(Run.epoch, Float) / func.nullif(Run.num_epochs, 0),
)

Columns = tuple[Any, ...]


def error(name: str) -> ColumnElement[Any]:
    """Return an error of each run: on test data if it has any, else its newest on validation data.

    Args:
        name: One of `db.reads.headline.ERRORS`, or the same after ``worst_``.
    """
    found = func.coalesce(_newest(name, "test"), _newest(name, "validation"))
    if name != f"worst_{ROBUST_ERROR}":
        return found
    # Runs of the first versions have it class by class only.
    return func.coalesce(found, _largest("test"), _largest("validation"))


def _newest(name: str, split: str) -> Any:
    """Select one seek in the table's key."""
    mine = (Metric.run_id == Run.id, Metric.split == split, Metric.name == name)
    newest = select(Metric.value).where(*mine).order_by(Metric.step.desc()).limit(1)
    return newest.correlate(Run).scalar_subquery()


def _largest(split: str) -> Any:
    mine = (
        ClassMetric.run_id == Run.id,
        ClassMetric.split == split,
        ClassMetric.name == ROBUST_ERROR,
    )
    newest = select(func.max(ClassMetric.epoch)).where(*mine).correlate(Run).scalar_subquery()
    there = (*mine, ClassMetric.epoch == newest, ClassMetric.n > 0)
    return select(func.max(ClassMetric.value)).where(*there).correlate(Run).scalar_subquery()


def first_tag() -> ColumnElement[Any]:
    """Return the tag of each run that comes first in the alphabet."""
    return (
        select(func.min(RunTag.tag)).where(RunTag.run_id == Run.id).correlate(Run).scalar_subquery()
    )


def _measured() -> Columns:
    tested = select(func.count()).where(
        Metric.run_id == Run.id, Metric.split == "test", Metric.name == ROBUST_ERROR
    )
    return (tested.correlate(Run).scalar_subquery(),)


def _errors(name: str) -> Columns:
    return (error(name),)


ERROR_NAMES = (*ERRORS, *(f"worst_{name}" for name in ERRORS))
SORTED: Mapping[str, Callable[[], Columns]] = {
    "status": lambda: (Run.status,),
    "name": lambda: (func.lower(Run.name), Run.name),
    "progress": lambda: (progress,),
    "time_left": lambda: (progress,),
    "method": lambda: (Run.method,),
    "scenario": lambda: (Run.dataset, noise_kind, noise_ratio, imbalance_factor),
    "threat": lambda: (norm, epsilon),
    "curve": lambda: (_newest(ROBUST_ERROR, "validation"),),
    **{name: partial(_errors, name) for name in ERROR_NAMES},
    "measured_on": _measured,
    "tags": lambda: (first_tag(),),
    "notes": lambda: (func.nullif(func.lower(Run.notes), ""),),
    "study": lambda: (Run.study,),
    "seed": lambda: (Run.seed,),
    "created": lambda: (Run.created_at,),
}
"""Column of the list -> what it is sorted by."""

NUMBERS: Mapping[str, tuple[Callable[[], Any], float]] = {
    "natural": (partial(error, ERRORS[0]), 100),
    "boundary": (partial(error, ERRORS[1]), 100),
    "robust": (partial(error, ERRORS[2]), 100),
    "worst": (partial(error, f"worst_{ERRORS[2]}"), 100),
    "worst_natural": (partial(error, f"worst_{ERRORS[0]}"), 100),
    "worst_boundary": (partial(error, f"worst_{ERRORS[1]}"), 100),
    "worst_robust": (partial(error, f"worst_{ERRORS[2]}"), 100),
    "progress": (lambda: progress, 100),
    "epoch": (lambda: Run.epoch, 1),
    "epochs": (lambda: Run.num_epochs, 1),
    "seed": (lambda: Run.seed, 1),
    "imbalance": (lambda: func.coalesce(imbalance_factor, 1.0), 1),
    "noise": (lambda: func.coalesce(noise_ratio, 0.0), 100),
}
"""Word of a search -> what it compares, and how much of that one unit of its number is."""


def ordered(column: str, *, descending: bool) -> list[Any]:
    """Return what the list is sorted by: a run without a value comes last, whichever way."""
    keys = SORTED.get(column, SORTED["created"])()
    told = [(key.desc() if descending else key.asc()).nulls_last() for key in keys]
    return [*told, Run.created_at.desc(), Run.id]
