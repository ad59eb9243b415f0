"""What a run recorded epoch by epoch: frames of metrics, and the arrays of its samples.

Pandas and Arrow are loaded by the reads that need them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from db.models import (
    ClassMetric,
    ClassSummary,
    Metric,
    Snapshot,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def metrics(
    session: Session, run_id: str, split: str | None = None, *, after_step: int = -1
) -> pd.DataFrame:
    """Return the series of a run: split, name, step, epoch, value."""
    columns = ("split", "name", "step", "epoch", "value")
    given = {"split": split}
    found = _frame_query(Metric, columns, run_id, given=given).where(Metric.step > after_step)
    ordered = found.order_by(Metric.split, Metric.name, Metric.step)
    return _frame(session, ordered, columns, floats=("value",))


def class_metrics(
    session: Session, run_id: str, split: str | None = None, *, epoch: int | None = None
) -> pd.DataFrame:
    """Return the values of each class: split, name, epoch, class_index, value, n."""
    columns = ("split", "name", "epoch", "class_index", "value", "n")
    found = _frame_query(ClassMetric, columns, run_id, given={"split": split, "epoch": epoch})
    ordered = found.order_by(
        ClassMetric.split, ClassMetric.name, ClassMetric.epoch, ClassMetric.class_index
    )
    return _frame(session, ordered, columns, floats=("value",))


def class_summaries(
    session: Session,
    run_id: str,
    epoch: int | None = None,
    *,
    quantity: str | None = None,
    label_group: str | None = None,
) -> pd.DataFrame:
    """Return the distributions of what the method gave the samples of each class."""
    floats = ("mean", "q05", "q25", "median", "q75", "q95")
    columns = ("epoch", "quantity", "label_group", "class_index", "n", *floats, "quantiles")
    given = {"epoch": epoch, "quantity": quantity, "label_group": label_group}
    found = _frame_query(ClassSummary, columns, run_id, given=given).order_by(
        ClassSummary.epoch,
        ClassSummary.quantity,
        ClassSummary.label_group,
        ClassSummary.class_index,
    )
    return _frame(session, found, columns, floats=floats)


def recorded_epochs(session: Session, run_id: str) -> list[int]:
    """Return the epochs whose assignment of every training sample is stored."""
    return _snapshot_epochs(session, run_id, "assignment")


def gallery_epochs(session: Session, run_id: str) -> list[int]:
    """Return the epochs that some samples and their images are stored of."""
    return _snapshot_epochs(session, run_id, "gallery")


def snapshot(
    session: Session, run_id: str, epoch: int, *, kind: str, names: Iterable[str] | None = None
) -> dict[str, np.ndarray] | None:
    """Return the arrays of one epoch, or those of ``names`` that are there."""
    from db import snapshot as blobs

    data = session.execute(
        select(Snapshot.data).where(
            Snapshot.run_id == run_id, Snapshot.epoch == epoch, Snapshot.kind == kind
        )
    ).scalar()
    return None if data is None else blobs.decode(data, names)


def snapshots(
    session: Session, run_id: str, kind: str
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Give every stored epoch and its arrays, one in memory at a time."""
    for epoch in _snapshot_epochs(session, run_id, kind):
        columns = snapshot(session, run_id, epoch, kind=kind)
        if columns is not None:
            yield epoch, columns


def _frame_query(
    model: Any, columns: Iterable[str], run_id: str, *, given: dict[str, Any]
) -> Select[Any]:
    conditions = [
        getattr(model, name) == value for name, value in given.items() if value is not None
    ]
    selected = select(*(getattr(model, name) for name in columns))
    return selected.where(model.run_id == run_id, *conditions)


def _frame(
    session: Session, statement: Select[Any], columns: Iterable[str], *, floats: Iterable[str]
) -> pd.DataFrame:
    """Return a frame whose columns have the same types with and without rows."""
    import pandas as pd

    rows = session.execute(statement).all()
    table = {name: [row[place] for row in rows] for place, name in enumerate(columns)}
    texts = ("split", "name", "quantity", "label_group", "quantiles")
    types = {name: object if name in texts else "int64" for name in columns}
    types |= dict.fromkeys(floats, "float64")
    return pd.DataFrame({name: pd.Series(table[name], dtype=types[name]) for name in columns})


def _snapshot_epochs(session: Session, run_id: str, kind: str) -> list[int]:
    stored = select(Snapshot.epoch).where(Snapshot.run_id == run_id, Snapshot.kind == kind)
    return list(session.execute(stored.order_by(Snapshot.epoch)).scalars())
