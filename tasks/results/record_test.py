"""What a run's test found, written in one place for models that were not trained here."""

from typing import Any

from sqlalchemy.orm import Session

from db.evaluations import NewEvaluation, write_evaluation
from db.models import FINAL
from db.writes import records
from engine.evaluation.evaluate import Outcomes, count_by_class
from tasks.recording.recorder import class_evaluation_rows, evaluation_rows

SPLIT, EPOCH = "test", 0
"""Nothing was trained: what was measured stands at the beginning."""


def record_test(
    session: Session, run_id: str, attempt: int, *, new: NewEvaluation, num_classes: int
) -> None:
    """Store an attack as the test of a run, with its card and its errors by class."""
    said: Any = new.outcomes
    outcomes = Outcomes(*(said[name] for name in ("label", "clean", "attacked")))
    found = count_by_class(outcomes, num_classes)
    records.write_metrics(
        session, run_id, attempt, rows=evaluation_rows(SPLIT, found, EPOCH, step=0)
    )
    rows = class_evaluation_rows(SPLIT, found, EPOCH)
    records.write_class_metrics(session, run_id, attempt, rows=rows)
    records.write_evaluation_card(session, run_id, new.card)
    final = NewEvaluation(FINAL, new.kind, new.n, new.card, outcomes=said)
    write_evaluation(session, run_id, attempt, new=final)
