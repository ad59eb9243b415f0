"""What a run left in the database, as digests that do not depend on how it was executed."""

import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from sqlalchemy import func, select

from db.evaluations import outcomes
from db.models import FINAL, ClassMetric, Evaluation, Snapshot
from db.reads import queries, series
from db.session import Database


def traces(database: Database, run_id: str) -> dict[str, str]:
    """Return the sha256 of each kind of row of a run, and of its checkpoints' sha256.

    Raises:
        LookupError: Of one kind there is none.
    """
    with database.read() as session:
        frames = {
            "metrics": series.metrics(session, run_id),
            "class metrics": series.class_metrics(session, run_id),
            "class summaries": series.class_summaries(session, run_id),
        }
        columns = {
            kind: dict(series.snapshots(session, run_id, kind))
            for kind in ("assignment", "gallery")
        }
        columns["outcomes"] = {0: outcomes(session, run_id, FINAL) or {}}
        kept = [(row.epoch, row.sha256) for row in queries.checkpoints(session, run_id)]
    missing = [name for name, rows in frames.items() if not len(rows)]
    if missing or not kept or not columns["outcomes"][0]:
        raise LookupError(f"run {run_id} lacks {', '.join(missing) or 'checkpoints or outcomes'}")
    said = {name: _of_frame(frame) for name, frame in frames.items()}
    said |= {kind: _of_columns(by_epoch) for kind, by_epoch in columns.items()}
    return said | {"checkpoints": _sha256(repr(kept).encode())}


def ended_like(database: Database, run_id: str, undisturbed: str) -> bool:
    """Tell whether a run left what another one left; one that has not succeeded did not."""
    try:
        return traces(database, run_id) == traces(database, undisturbed)
    except LookupError:
        return False


def repeated_epochs(database: Database, run_id: str, attempt: int, recorded: int) -> int:
    """Return how many epochs up to a recorded one have rows of attempts after the given one."""
    with database.read() as session:
        again = select(ClassMetric.epoch).where(
            ClassMetric.run_id == run_id,
            ClassMetric.epoch <= recorded,
            ClassMetric.attempt > attempt,
        )
        return len(set(session.execute(again).scalars()))


def stored_evaluations(database: Database, run_id: str) -> dict[str, str]:
    """Return the sha256 of all that is stored of each evaluation of a run but when, by name."""
    columns = (Evaluation.name, Evaluation.attempt, Evaluation.card, Evaluation.findings)
    wanted = select(*columns, Evaluation.outcomes).where(Evaluation.run_id == run_id)
    with database.read() as session:
        found = session.execute(wanted.order_by(Evaluation.name)).all()
    return {row.name: _sha256(repr(tuple(row)).encode()) for row in found}


def stored_parts(database: Database, job: str) -> int:
    """Return how many batches of an evaluation that is a job are stored."""
    mine = (Snapshot.run_id == job, Snapshot.kind == "part")
    with database.read() as session:
        return session.execute(select(func.count()).where(*mine)).scalar_one()


def _of_frame(frame: pd.DataFrame) -> str:
    """A CSV file has every float in as many digits as tell it from all others."""
    return _sha256(frame.to_csv(index=False).encode())


def _of_columns(by_epoch: Mapping[int, Mapping[str, np.ndarray]]) -> str:
    parts = [
        f"{epoch} {name} {values.dtype} {values.shape} ".encode()
        + (repr(values.tolist()).encode() if values.dtype.hasobject else values.tobytes())
        for epoch, columns in sorted(by_epoch.items())
        for name, values in sorted(columns.items())
    ]
    return _sha256(b"\n".join(parts))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
