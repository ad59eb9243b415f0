"""What a scenario will show its model: some training images, and one of them moved both ways."""

from dataclasses import dataclass

from db.session import Database
from engine.data.config import DataConfig
from engine.inspection.single_image import Glance, glance
from engine.perturbation.threat import ThreatConfig
from engine.scenario import Scenario
from engine.seeds import numpy_stream
from engine.training.build import initial_model
from engine.types import ByteArray, ImageSet
from tasks.results import start_weights
from tasks.results.trained import load_trained
from tasks.settings import settings


@dataclass(frozen=True)
class Trained:
    """What an earlier run's model says of an image, and which weights these are."""

    glance: Glance
    checkpoint: str


def is_here(data: DataConfig) -> bool:
    """Tell whether a dataset's images can be shown without a download."""
    return data.source.is_here(settings().dataset_dir)


def drawn_images(scenario: Scenario, number: int) -> ImageSet:
    """Return training images drawn at random, with the labels that the run will be told.

    Raises:
        UserError: The dataset is missing and cannot be fetched.
    """
    train = scenario.prepared(settings().dataset_dir).train
    return train.take(numpy_stream(scenario.seed, "preview").permutation(len(train))[:number])


def by_untrained(scenario: Scenario, image: ByteArray, label: int) -> Glance:
    """Move an image with the model that the scenario starts from.

    Raises:
        UserError: The weights to start from cannot be used.
    """
    data = scenario.prepared(settings().dataset_dir)
    model, start = initial_model(scenario, data), start_weights.found(scenario)
    if start is not None:
        from engine.models.classifier import normalisation_of  # it loads torch

        model.load_state_dict({**normalisation_of(model), **start})
    return glance(model, scenario.threat, image, label=label, seed=scenario.seed)


def by_trained(
    database: Database, run_id: str, threat: ThreatConfig, *, image: ByteArray, label: int
) -> Trained:
    """Move an image with the model of a finished run, within this threat model.

    Raises:
        UserError: The run's model or its data cannot be loaded.
    """
    trained = load_trained(database, run_id)
    seen = glance(trained.model, threat, image, label=label, seed=trained.scenario.seed)
    return Trained(seen, trained.checkpoint)
