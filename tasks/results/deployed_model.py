"""The model that a run's test looked at, built without the data that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from db.reads import queries
from db.reads.rows import RunDetail
from db.session import Database
from engine.errors import UserError
from engine.lazy import torch
from engine.scenario import Scenario
from engine.training.selection import Deployed, deployed
from tasks.recording.checkpoints import search
from tasks.settings import settings

if TYPE_CHECKING:
    from engine.models.classifier import Classifier


@dataclass(frozen=True)
class DeployedModel:
    """The newest weights of a run: best, averaged or last, as its test looks at.

    Attributes:
        run: Whose they are.
        weights: By the model's own names; its first layer is the normalisation.
    """

    run: RunDetail
    weights: Deployed

    @property
    def class_names(self) -> list[str]:
        return [str(name) for name in (self.run.facts or {}).get("class_names", [])]

    def built(self) -> tuple[Classifier, tuple[int, int, int]]:
        """Return the model in eval mode and float32, and the shape (channels, h, w) of its images.

        Raises:
            UserError: The weights are of another network than the scenario's, or the scenario needs
                a plug-in that is not here.
        """
        from engine.models.classifier import Classifier

        try:
            scenario = Scenario.model_validate(self.run.scenario)
        except ValidationError:
            raise UserError(
                f"RUN: the scenario of {self.run.id} is not valid here; install the plug-in that "
                "it was trained with"
            ) from None
        source = scenario.data.source
        channels, size = source.channels, source.size
        backbone = scenario.model.build(channels, size, len(self.class_names))
        model = Classifier(backbone, torch.zeros(channels), torch.ones(channels))
        try:
            model.load_state_dict(self.weights.weights)
        except RuntimeError:
            raise UserError(
                f"RUN: the checkpoint of {self.run.id} does not fit {scenario.model.name} with "
                f"{len(self.class_names)} classes; it was made by another version or plug-in"
            ) from None
        return model.eval(), (channels, size, size)


def deployed_model(database: Database, run_id: str) -> DeployedModel:
    """Return the newest weights of a run, which may still be trained.

    Raises:
        UserError: The run is gone, or has no checkpoint that can be used.
    """
    with database.read() as session:
        run = queries.get_run(session, run_id)
        rows = queries.checkpoints(session, run_id)
    if run is None:
        raise UserError(f"RUN: there is no run {run_id}")
    searched = search(settings().data_dir, rows)
    if searched.found is None:
        raise UserError(f"RUN: {run_id}: {searched.why_none()}")
    epoch, state = searched.found
    return DeployedModel(run, deployed(state, epoch))
