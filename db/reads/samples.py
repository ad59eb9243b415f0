"""What the page of the training samples reads: distributions by class, one sample's course."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from db import snapshot as blobs
from db.models import TRAINING, ClassSummary, Run, RunStatus, Snapshot

WEIGHTS = ("anti_adversary_weight", "adversary_weight", "clean_weight")
SUMMARY = ("n", "mean", "q05", "q25", "median", "q75", "q95")


@dataclass(frozen=True)
class RecordedRow:
    """A run that has recorded what it gave its training samples."""

    id: str
    name: str
    method: str
    dataset: str
    seed: int


def recorded_runs(session: Session, limit: int = 500) -> list[RecordedRow]:
    """Return them, newest first."""
    columns = [getattr(Run, name) for name in RecordedRow.__dataclass_fields__]
    is_stored = exists().where(Snapshot.run_id == Run.id, Snapshot.kind == "assignment")
    there = select(*columns).where(
        is_stored, Run.status != RunStatus.DELETING, Run.kind == TRAINING
    )
    newest = there.order_by(Run.created_at.desc(), Run.id).limit(limit)
    return [RecordedRow(*row) for row in session.execute(newest)]


def newest_that_tells_samples_apart(session: Session) -> str | None:
    """Return the newest run whose last epoch gave samples of one class different weights."""
    differs = exists().where(
        ClassSummary.run_id == Run.id,
        ClassSummary.epoch == Run.epoch,
        ClassSummary.quantity.in_(WEIGHTS),
        ClassSummary.label_group == "all",
        ClassSummary.q05 < ClassSummary.q95,
    )
    there = select(Run.id).where(differs, Run.status != RunStatus.DELETING, Run.kind == TRAINING)
    newest = there.order_by(Run.created_at.desc(), Run.id).limit(1)
    return session.execute(newest).scalar()


def history(
    session: Session, run_id: str, quantity: str, *, classes: Sequence[int] | None = None
) -> pd.DataFrame:
    """Return how one quantity is distributed over each class in every recorded epoch.

    Columns: epoch, label_group, class_index, and those of `SUMMARY`; ``classes`` are all by
    default.
    """
    columns = ("epoch", "label_group", "class_index", *SUMMARY)
    wanted = select(*(getattr(ClassSummary, name) for name in columns)).where(
        ClassSummary.run_id == run_id, ClassSummary.quantity == quantity
    )
    if classes is not None:
        wanted = wanted.where(ClassSummary.class_index.in_(classes))
    ordered = wanted.order_by(
        ClassSummary.epoch, ClassSummary.label_group, ClassSummary.class_index
    )
    table = pd.DataFrame(session.execute(ordered).all(), columns=list(columns))
    return table.astype(dict.fromkeys(SUMMARY[1:], "float64"))


def quantities(session: Session, run_id: str, epoch: int) -> list[str]:
    """Return what was recorded of each sample in one epoch, in no order that means anything."""
    stored = select(ClassSummary.quantity).where(
        ClassSummary.run_id == run_id,
        ClassSummary.epoch == epoch,
        ClassSummary.label_group == "all",
    )
    return list(session.execute(stored.distinct()).scalars())


def courses(
    session: Session, run_id: str, epochs: Sequence[int], *, names: Sequence[str], row: int
) -> pd.DataFrame:
    """Return what one sample got in these epochs: epoch, and a column per name that is stored.

    Args:
        session: Where to read.
        run_id: Which run.
        epochs: Which of its recorded epochs.
        names: Columns of an assignment.
        row: The sample's place among the training samples.
    """
    stored = select(Snapshot.epoch, Snapshot.data).where(
        Snapshot.run_id == run_id, Snapshot.kind == "assignment", Snapshot.epoch.in_(epochs)
    )
    found = [
        {"epoch": epoch} | {name: float(v[row]) for name, v in blobs.decode(data, names).items()}
        for epoch, data in session.execute(stored.order_by(Snapshot.epoch)).yield_per(1)
    ]
    return pd.DataFrame(found, columns=["epoch", *names])
