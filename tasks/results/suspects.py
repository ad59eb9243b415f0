"""Label suspects: the training samples whose given label is doubted, for somebody to correct.

The order is within the classes (`engine.inspection.label_noise.place_in_class`): a weight that
first follows the class would put whole classes before every wrong label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from db.reads import series
from db.session import Database
from engine.errors import UserError
from engine.inspection.label_noise import doubt_of, place_in_class
from engine.inspection.opinions import Opinions, opinions
from engine.types import Columns, FloatArray
from tasks.results.export_request import CLEANLAB, WEIGHT, ExportRequest
from tasks.results.trained import Trained, load_trained

if TYPE_CHECKING:
    from engine.types import IntArray

WEIGHTS = ("anti_adversary_weight", "clean_weight", "adversary_weight")
"""The first of these that differs between samples of a class says how much one is trusted."""


@dataclass(frozen=True)
class Score:
    """What suspects are ordered by.

    Attributes:
        column: Its name.
        values: (N,) of each sample.
    """

    column: str
    values: FloatArray

    @property
    def doubt(self) -> FloatArray:
        """(N,) large where the label is doubted."""
        if self.column == "confidence":
            return self.values * -1.0
        return doubt_of(self.column, self.values)


def suspects_asked(database: Database, run_id: str, request: ExportRequest) -> pd.DataFrame:
    """Return what an export asks for: see `suspects` and `as_cleanlab`."""
    by = request.by or WEIGHT
    table = suspects(database, run_id, by)
    return as_cleanlab(table, by) if request.format == CLEANLAB else table


def suspects(database: Database, run_id: str, by: str) -> pd.DataFrame:
    """Return one row per training sample, the most doubted of its class first.

    Columns: ``sample`` (its row in the dataset's training part), ``origin`` (where it is in the
    person's own data), ``given_label`` and ``predicted_label`` with the names of both classes,
    ``is_label_issue``, ``place_in_class`` (the share of its class that it is doubted more than),
    the weight, and the model's loss, margin and confidence. Where noise was put in, also
    ``true_label``.

    Args:
        database: Where the run is.
        run_id: A run that has ended; its model is asked about every training image.
        by: One of `tasks.results.export_request.SUSPECTS_BY`.

    Raises:
        UserError: The run's model, data or weights are not here, or its weights order nothing.
    """
    trained = load_trained(database, run_id)
    train, source = trained.data.train, trained.scenario.data.source
    said = opinions(trained.model, train.to(trained.device), trained.scenario.evaluation.batch_size)
    weights = _recorded(database, run_id, train.source)
    score = _score(by, said, weights, labels=train.labels, run_id=run_id)
    table = pd.DataFrame(
        {
            "sample": train.source,
            "origin": [source.origin("train", int(row)) for row in train.source],
            "given_label": train.labels,
            "given_class": _named(trained, train.labels),
            "predicted_label": said.predicted,
            "predicted_class": _named(trained, said.predicted),
            "is_label_issue": said.contradicts(train.labels),
            "place_in_class": place_in_class(score.doubt, train.labels),
            **({score.column: score.values} if by == WEIGHT else {}),
            "loss": said.loss,
            "margin": said.margin,
            "confidence": said.confidence,
        }
    )
    if (train.labels != train.true_labels).any():
        table["true_label"] = train.true_labels
    order = np.lexsort((train.source, -score.doubt, -table["place_in_class"].to_numpy()))
    return table.iloc[order].reset_index(drop=True)


def as_cleanlab(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return suspects in the columns of cleanlab's table of label issues, in the same order.

    Format: ``is_label_issue``, ``label_score``, ``given_label`` and ``predicted_label``, as
    `Datalab.get_issues("label")` (docs.cleanlab.ai, Datalab Issue Types); a low score is a likely
    issue, 0 to 1. By loss or confidence it is the confidence, by margin (margin + 1) / 2, which are
    cleanlab's self-confidence and normalised margin; by weight it is 1 - ``place_in_class``.
    """
    scores = {
        WEIGHT: 1 - table["place_in_class"],
        "margin": (table["margin"] + 1) / 2,
    }
    score = scores.get(by, table["confidence"])
    kept = table[["sample", "origin", "is_label_issue", "given_label", "predicted_label"]].copy()
    kept.insert(3, "label_score", score.clip(0, 1))
    return kept


def _named(trained: Trained, labels: IntArray) -> list[str]:
    names = trained.data.class_names
    return [names[label] for label in labels]


def _recorded(database: Database, run_id: str, source: IntArray) -> Columns:
    """Return the weights that the last recorded epoch gave the samples, in their order."""
    with database.read() as session:
        epochs = series.recorded_epochs(session, run_id)
        if not epochs:
            return {}
        found = series.snapshot(
            session, run_id, epochs[-1], kind="assignment", names=["sample", *WEIGHTS]
        )
    if found is None or not np.array_equal(found.pop("sample"), source):
        return {}
    return found


def _score(by: str, said: Opinions, weights: Columns, *, labels: IntArray, run_id: str) -> Score:
    if by != WEIGHT:
        return Score(by, getattr(said, by))
    for name in WEIGHTS:
        if name in weights and _differs_within(weights[name], labels):
            return Score(name, weights[name])
    raise UserError(
        f"RUN: {run_id} gives all samples of a class the same weight, or recorded none; order them "
        "--by loss, margin or confidence"
    )


def _differs_within(values: FloatArray, labels: IntArray) -> bool:
    """Tell whether two samples of one class have different values."""
    order = np.lexsort((values, labels))
    same_class = np.diff(labels[order]) == 0
    return bool((np.diff(values[order])[same_class] != 0).any())
