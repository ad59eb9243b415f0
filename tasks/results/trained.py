"""The model that a run ended with, on the data that it was trained for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from db.models import AUDIT, IMPORT, RunStatus
from db.reads import queries
from db.reads.rows import RunDetail
from db.session import Database
from engine.data.preparation import Data
from engine.errors import UserError
from engine.evaluation.card import Subject
from engine.runtime import configure, pick_device
from engine.scenario import Scenario
from engine.training.build import initial_model
from engine.training.run_info import checkpoint_in_words, subject_of_test
from engine.training.selection import deployed
from tasks.recording.checkpoints import search
from tasks.settings import settings
from tasks.stored_scenario import stored_scenario

if TYPE_CHECKING:
    import torch

    from engine.models.classifier import Classifier


@dataclass(frozen=True)
class Trained:
    """A run that has ended, and its model on this machine's device.

    Attributes:
        run, scenario: Which one.
        data: As its training saw them.
        model: The weights that its test looked at, or would have: best, averaged, or last.
        checkpoint: Which weights these are, in words.
        device: Where the model is.
    """

    run: RunDetail
    scenario: Scenario
    data: Data
    model: Classifier
    checkpoint: str
    device: torch.device

    def subject(self) -> Subject:
        """Return what the model and its test images are; nobody here trained an audited one."""
        own = subject_of_test(self.scenario, self.data, self.checkpoint)
        if self.run.kind != AUDIT:
            return own
        return replace(own, method=self.run.method, trained=None)


AS_GIVEN = "weights as they were given"
"""Of an audited model: which weights were looked at."""


def require_model(run: RunDetail) -> None:
    """Refuse a run that is numbers alone.

    Raises:
        UserError: It was imported.
    """
    if run.kind == IMPORT:
        raise UserError(
            f"RUN: {run.id} is imported predictions, there is no model to look at; `caat audit` "
            "takes the weights of one"
        )


def require_trained(run: RunDetail | None, run_id: str) -> RunDetail:
    """Return a run that training has ended of.

    Raises:
        UserError: It is gone, still active, or itself a job about a run.
    """
    if run is None or run.is_active or run.status is RunStatus.DELETING:
        stands = run.status if run else "gone"
        raise UserError(f"RUN: {run_id} is {stands}; wait until it has ended, or stop it")
    if run.is_job:
        about = f"give the run that it is about, {run.subject_id}"
        raise UserError(f"RUN: {run_id} is an {run.kind}; {about}")
    return run


def load_trained(database: Database, run_id: str, device: str | None = None) -> Trained:
    """Load the newest checkpoint of a run that has ended, and make its data anew.

    Args:
        database: Where the run is.
        run_id: Which run.
        device: ``auto``, ``cpu`` or ``cuda:N``; the setting's if left out.

    Raises:
        UserError: The run is still active, has no checkpoint, or does not fit its data any more.
    """
    with database.read() as session:
        run = queries.get_run(session, run_id)
        rows = queries.checkpoints(session, run_id)
    run = require_trained(run, run_id)
    require_model(run)
    searched = search(settings().data_dir, rows)
    found = searched.found
    if found is None:
        raise UserError(f"RUN: {run_id}: {searched.why_none()}")
    scenario = stored_scenario(run)
    place = pick_device(device or settings().device)
    configure(place, scenario.training.num_threads)
    data = scenario.prepared(settings().dataset_dir)
    if (run.facts or {}).get("data_digest") != data.digest():
        raise UserError(
            f"RUN: data.dataset {scenario.data.dataset!r} is not what {run_id} was trained on; "
            "put the same files back"
        )
    last, state = found
    chosen = deployed(state, last)
    model = initial_model(scenario, data)
    try:
        model.load_state_dict(chosen.weights)
    except RuntimeError:
        raise UserError(
            f"RUN: the checkpoint of {run_id} does not fit {scenario.model.called} with "
            f"{len(data.class_names)} classes; it was made by another version or plug-in"
        ) from None
    words = checkpoint_in_words(
        chosen.epoch,
        last,
        scenario.training.epochs,
        best=chosen.is_best,
        averaged=chosen.is_averaged,
    )
    told = AS_GIVEN if run.kind == AUDIT else words
    return Trained(run, scenario, data, model.to(place), told, place)
