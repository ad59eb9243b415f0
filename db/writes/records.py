"""What a trainer records. Writing twice changes nothing, and an older attempt never wins.

Ask `transitions.fence` first, in the same transaction: a replaced attempt adds nothing either.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db import snapshot
from db.models import Base, Checkpoint, ClassMetric, ClassSummary, Metric, Run, Snapshot
from db.portable import dialect_insert, finite, finite_json, plain

NUM_QUANTILES = 41
"""Of a summary: the minimum, every 2.5 percent, the maximum."""
_NAMED_QUANTILES = {"q05": 2, "q25": 10, "median": 20, "q75": 30, "q95": 38}


@dataclass(frozen=True)
class MetricRow:
    """One value of a split, or of the training itself, at one step."""

    split: str
    name: str
    step: int
    epoch: int
    value: float | None


@dataclass(frozen=True)
class ClassMetricRow:
    """One value of one class of a split, over ``n`` samples."""

    split: str
    name: str
    epoch: int
    class_index: int
    value: float | None
    n: int


@dataclass(frozen=True)
class ClassSummaryRow:
    """How one quantity is distributed over the samples of one class."""

    epoch: int
    quantity: str
    label_group: str
    class_index: int
    n: int
    mean: float
    quantiles: list[float]
    """`NUM_QUANTILES` equally spaced quantiles, from the minimum to the maximum."""


def write_metrics(
    session: Session, run_id: str, attempt: int, *, rows: Iterable[MetricRow]
) -> None:
    values = [vars(row) | {"value": finite(row.value)} for row in rows]
    _upsert(session, Metric, run_id, attempt=attempt, rows=values)


def changed_since(
    session: Session, run_id: str, attempt: int, *, rows: Iterable[MetricRow]
) -> list[str]:
    """Return the names of the values that an earlier attempt recorded otherwise."""
    given = {(row.split, row.name, row.step): finite(row.value) for row in rows}
    steps = {step for _, _, step in given}
    known = select(Metric.split, Metric.name, Metric.step, Metric.value).where(
        Metric.run_id == run_id, Metric.step.in_(steps), Metric.attempt < attempt
    )
    return sorted(
        {
            name
            for split, name, step, value in session.execute(known)
            if given.get((split, name, step), value) != value
        }
    )


def write_class_metrics(
    session: Session, run_id: str, attempt: int, *, rows: Iterable[ClassMetricRow]
) -> None:
    values = [vars(row) | {"value": finite(row.value)} for row in rows]
    _upsert(session, ClassMetric, run_id, attempt=attempt, rows=values)


def write_class_summaries(
    session: Session, run_id: str, attempt: int, *, rows: Iterable[ClassSummaryRow]
) -> None:
    _upsert(
        session, ClassSummary, run_id, attempt=attempt, rows=[_summary_values(row) for row in rows]
    )


def write_snapshot(
    session: Session,
    run_id: str,
    attempt: int,
    *,
    epoch: int,
    kind: str,
    columns: Mapping[str, np.ndarray],
) -> None:
    """Store arrays of one length, one row a sample."""
    num_rows = len(next(iter(columns.values()))) if columns else 0
    values = {"epoch": epoch, "kind": kind, "num_rows": num_rows}
    _upsert(
        session,
        Snapshot,
        run_id,
        attempt=attempt,
        rows=[values | {"data": snapshot.encode(columns)}],
    )


def write_checkpoint(  # noqa: PLR0913 - the row's key and its contents
    session: Session, run_id: str, attempt: int, *, epoch: int, path: str, size: int, sha256: str
) -> None:
    """Note a checkpoint that is safely on disk; ``path`` is relative to the data directory."""
    values = {"epoch": epoch, "path": path, "size": size, "sha256": sha256}
    _upsert(session, Checkpoint, run_id, attempt=attempt, rows=[values])


def drop_checkpoints(session: Session, run_id: str, epochs: Iterable[int]) -> None:
    """Forget checkpoints; their files are deleted after this is committed."""
    which = (Checkpoint.run_id == run_id, Checkpoint.epoch.in_(list(epochs)))
    session.execute(delete(Checkpoint).where(*which))


def write_facts(session: Session, run_id: str, facts: dict[str, Any]) -> None:
    session.execute(update(Run).where(Run.id == run_id).values(facts=finite_json(facts)))


def write_evaluation_card(session: Session, run_id: str, card: dict[str, Any]) -> None:
    session.execute(update(Run).where(Run.id == run_id).values(evaluation_card=finite_json(card)))


def _summary_values(row: ClassSummaryRow) -> dict[str, Any]:
    if len(row.quantiles) != NUM_QUANTILES:
        raise ValueError(f"{NUM_QUANTILES} quantiles are stored, not {len(row.quantiles)}")
    quantiles = [finite(value) for value in row.quantiles]
    named = {name: quantiles[place] for name, place in _NAMED_QUANTILES.items()}
    return vars(row) | named | {"quantiles": quantiles, "mean": finite(row.mean)}


def _upsert(
    session: Session, model: type[Base], run_id: str, *, attempt: int, rows: list[dict[str, Any]]
) -> None:
    """Insert rows; one that is there is replaced unless a later attempt wrote it."""
    if not rows:
        return
    statement = dialect_insert(session, model)
    keys = [column.name for column in model.__table__.primary_key]
    replaced = {
        name: statement.excluded[name] for name in (*rows[0], "attempt") if name not in keys
    }
    statement = statement.on_conflict_do_update(
        index_elements=keys,
        set_=replaced,
        where=statement.excluded.attempt >= model.__table__.c.attempt,
    )
    common = {"run_id": run_id, "attempt": attempt}
    values = [common | {name: plain(value) for name, value in row.items()} for row in rows]
    session.execute(statement, values)
