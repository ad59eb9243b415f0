"""Scenario: everything that decides what a run does."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from engine.config import Section
from engine.data.config import DataConfig
from engine.data.datasets.base import DATASETS, datasets
from engine.data.preparation import Data, prepare, training_counts
from engine.evaluation.evaluate import EvaluationConfig
from engine.methods.base import METHODS, MethodConfig
from engine.mistakes import mistake
from engine.models.backbones.base import BACKBONES, BackboneConfig
from engine.optim.config import TrainingConfig
from engine.perturbation.norms import default_epsilon, require_within
from engine.perturbation.threat import ThreatConfig
from engine.types import IntArray

NAME_LENGTH = 200
NUMERICS = 1
"""Which numbers this program trains: raised when a change makes an equal scenario train others.

What was trained under another number is not taken for a cell of a study (`tasks.study`).
"""


class Scenario(Section):
    """Everything that decides what a run does; equal scenarios train equal models."""

    name: str = Field(
        "", max_length=NAME_LENGTH, description="A name of your own; changes nothing else"
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of every random draw")
    data: DataConfig = DataConfig()
    threat: ThreatConfig = ThreatConfig()
    model: Annotated[BackboneConfig, BACKBONES] = Field(default_factory=lambda: _default(BACKBONES))
    method: Annotated[MethodConfig, METHODS] = Field(default_factory=lambda: _default(METHODS))
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="before")
    @classmethod
    def _radius_is_derived(cls, values: Any) -> Any:
        """Write an empty radius out, as the norm and the images give it."""
        threat = values.get("threat", {}) if isinstance(values, dict) else None
        if not isinstance(threat, dict) or threat.get("epsilon") is not None:
            return values
        if threat.get("norm") != "l2":
            return values
        return {**values, "threat": {**threat, "epsilon": default_epsilon("l2", *_shape(values))}}

    @model_validator(mode="after")
    def _distances_fit_the_images(self) -> "Scenario":
        if not self.data.source.is_known:
            return self
        num_values = self.data.source.channels * self.data.source.size**2
        for table, section in (("threat", self.threat), ("evaluation", self.evaluation)):
            for name in ("epsilon", "step_size"):
                distance = getattr(section, name) or 0.0
                try:
                    require_within(distance, self.threat.norm, num_values)
                except ValueError as error:
                    raise mistake((table, name), distance, str(error)) from None
        return self

    @model_validator(mode="after")
    def _radius_warmup_fits(self) -> "Scenario":
        warmup, own = self.threat.epsilon_warmup_epochs, self.training.method_epochs
        if warmup and warmup >= own:
            raise mistake(
                ("threat", "epsilon_warmup_epochs"),
                warmup,
                f"{warmup} is not valid with {own} epochs of the method; "
                f"allowed: a whole number, 0 to {own - 1}",
            )
        return self

    @model_validator(mode="after")
    def _one_average_of_weights(self) -> "Scenario":
        decay = self.training.ema_decay
        if decay is not None and "average_decay" in type(self.method).model_fields:
            raise mistake(
                ("training", "ema_decay"),
                decay,
                f"{decay} is not valid with {self.method.name}, which averages weights by its own "
                "rule; allowed: leave it out, and set method.average_decay",
            )
        return self

    def prepared(self, folder: Path) -> Data:
        """Return the run's data (`prepare`); ``folder`` is where datasets are kept.

        Raises:
            UserError: The dataset's files are missing.
        """
        return prepare(self.data, self.seed, folder, with_meta=self.training.with_meta)

    def training_counts(self) -> IntArray:
        """Return how many training images of each true class (C,) the run has, reading none."""
        return training_counts(self.data, self.seed, with_meta=self.training.with_meta)

    def plugins(self) -> dict[str, str]:
        """Return the version of each installed distribution that a part of it comes from."""
        return {
            **DATASETS.origin(self.data.dataset),
            **BACKBONES.origin(self.model.name),
            **METHODS.origin(self.method.name),
        }

    def as_json(self) -> dict[str, Any]:
        """Return the whole scenario, every default written out."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """Return a fingerprint that equal scenarios share, whatever their names."""
        content = self.model_dump(mode="json", exclude={"name"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _default(registry: Any) -> Any:
    return registry[registry.default]()


def _shape(values: dict[str, Any]) -> tuple[int, int]:
    """Return channels and size of the images that unvalidated values name.

    Where they name none that is known, they are refused, whatever this returns.
    """
    data = values.get("data", {})
    default = DataConfig.model_fields["dataset"].default
    name = data.get("dataset", default) if isinstance(data, dict) else getattr(data, "dataset", "")
    source = datasets().get(name) if isinstance(name, str) else None
    return (source.channels, source.size) if source else (3, 32)
