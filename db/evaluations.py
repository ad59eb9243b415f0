"""What models said of the test images, written and read protocol by protocol.

Ask `fence` or `ended_with` of `db.writes.transitions` first, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from db.models import Evaluation
from db.portable import finite_json
from db.reads.rows import EvaluationRow

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class NewEvaluation:
    """One look at the test data.

    Attributes:
        name: `db.models.FINAL`, or the protocol in words.
        kind: ``attack``, ``curve`` or ``masking``.
        n: Images looked at.
        card: The protocol.
        findings: What a curve or the masking checks found.
        outcomes: Of an attack, (n,) each: ``sample`` (position in the dataset's official test
            part), ``label``, ``clean`` and ``attacked`` (predicted classes).
    """

    name: str
    kind: str
    n: int
    card: dict[str, Any]
    findings: dict[str, Any] | None = None
    outcomes: Mapping[str, np.ndarray] | None = None


def write_evaluation(session: Session, run_id: str, attempt: int, *, new: NewEvaluation) -> None:
    """Store an evaluation in the place of the one with its name, if there is one."""
    from db import snapshot  # Arrow takes longer to load than the rest of the database

    values = {
        "run_id": run_id,
        "name": new.name,
        "kind": new.kind,
        "attempt": attempt,
        "n": new.n,
        "card": finite_json(new.card),
        "findings": finite_json(new.findings),
        "outcomes": None if new.outcomes is None else snapshot.encode(new.outcomes),
    }
    mine = (Evaluation.run_id == run_id, Evaluation.name == new.name)
    session.execute(delete(Evaluation).where(*mine))
    session.execute(insert(Evaluation).values(**values))


def evaluations(session: Session, run_id: str) -> list[EvaluationRow]:
    """Return a run's evaluations, oldest first."""
    columns = [getattr(Evaluation, name) for name in EvaluationRow.__dataclass_fields__]
    ordered = select(*columns).where(Evaluation.run_id == run_id)
    found = session.execute(ordered.order_by(Evaluation.created_at, Evaluation.name))
    return [EvaluationRow(*row) for row in found]


def outcomes(session: Session, run_id: str, name: str) -> dict[str, np.ndarray] | None:
    """Return what an attack's evaluation says of each image, or nothing: there is none."""
    from db import snapshot

    stored = select(Evaluation.outcomes).where(Evaluation.run_id == run_id, Evaluation.name == name)
    data = session.execute(stored).scalar()
    return None if data is None else snapshot.decode(data)


def in_order(session: Session, run_id: str, name: str) -> dict[str, np.ndarray] | None:
    """Return the same in the order of the images."""
    found = outcomes(session, run_id, name)
    if found is None:
        return None
    order = found["sample"].argsort()
    return {column: values[order] for column, values in found.items()}
