"""A run's curves as trackers take them: flat names, steps, values, and the settings beside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from db.reads import queries, series
from db.reads.rows import RunDetail
from db.session import Database
from engine.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_OTHER = re.compile(r"[^\w\-. ]")
"""What MLflow allows in no name; it is the strictest of the trackers."""
_NAME_BYTES = 100
"""Less than a file system allows of one part of a path."""


@dataclass(frozen=True)
class Point:
    """One value of one curve."""

    tag: str
    step: int
    epoch: int
    value: float


@dataclass(frozen=True)
class Curves:
    """What a run recorded, step by step.

    Attributes:
        run: Whose curves they are.
        points: By curve, then by step.
    """

    run: RunDetail
    points: list[Point]

    @property
    def when(self) -> float:
        """Seconds since 1970 that every point is stamped with: the run's end, or its start so far.

        The time of a single step is not recorded; curves are read over steps.
        """
        at = self.run.ended_at or self.run.started_at or self.run.created_at
        return at.timestamp()

    @property
    def settings(self) -> dict[str, str]:
        """Return what decides the run, one entry a field: ``method.name`` -> ``caat``."""
        return dict(_flat(self.run.scenario, ""))

    @property
    def title(self) -> str:
        return self.run.name or self.run.method


def curves(database: Database, run_id: str) -> Curves:
    """Read them: those over all classes, and those of each class.

    Raises:
        UserError: The run is gone, or has recorded nothing yet.
    """
    with database.read() as session:
        run = queries.get_run(session, run_id)
        overall = series.metrics(session, run_id)
        by_class = series.class_metrics(session, run_id)
    if run is None:
        raise UserError(f"RUN: there is no run {run_id}")
    if overall.empty:
        raise UserError("RUN: nothing of the kind is recorded yet")
    return Curves(run, [*_overall(overall), *_by_class(run, by_class, _last_steps(overall))])


def _overall(table: pd.DataFrame) -> Iterator[Point]:
    for split, name, step, epoch, value in _rows(table, "step", "epoch", "value"):
        yield Point(f"{split}/{_plain(name)}", int(step), int(epoch), float(value))


def _last_steps(overall: pd.DataFrame) -> dict[int, int]:
    """Return the last step of each epoch: where the errors of its classes are placed."""
    steps = overall.groupby("epoch")["step"].max()
    return {int(str(epoch)): int(step) for epoch, step in steps.items()}


def _by_class(run: RunDetail, table: pd.DataFrame, steps: Mapping[int, int]) -> Iterator[Point]:
    """Give the curves of classes, each named by its number too, so that none share a curve."""
    names = (run.facts or {}).get("class_names", [])
    called = {
        place: f"{place} {_plain(str(name))}".rstrip(" .") for place, name in enumerate(names)
    }
    for split, name, index, epoch, value in _rows(table, "class_index", "epoch", "value"):
        tag = f"{split}_by_class/{_plain(name)}/{called.get(int(index), index)}"
        yield Point(tag, steps.get(int(epoch), int(epoch)), int(epoch), float(value))


def _rows(table: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Give split, name and these columns of each row."""
    return zip(*(table[column].tolist() for column in ("split", "name", *columns)), strict=True)


def _plain(name: Any) -> str:
    """Return a name of letters, digits and ``_-. `` only, for a part of a path."""
    return _OTHER.sub("_", str(name)).encode()[:_NAME_BYTES].decode(errors="ignore")


def _flat(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        place = f"{path}.{name}".lstrip(".")
        if isinstance(value, Mapping):
            yield from _flat(value, place)
        elif value is not None:
            yield _plain(place), str(value)
