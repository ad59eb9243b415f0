"""The model that a run starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.data.preparation import Data
from engine.lazy import nn, torch
from engine.scenario import Scenario
from engine.seeds import initialising

if TYPE_CHECKING:
    from engine.models.classifier import Classifier


def initial_model(scenario: Scenario, data: Data) -> Classifier:
    """Return the scenario's network as its seed makes it, normalised by the training images."""
    from engine.models.classifier import Classifier, channel_statistics

    source = scenario.data.source
    mean, std = channel_statistics(torch.from_numpy(data.train.images))
    with initialising(scenario.seed, "model"):
        backbone = scenario.model.build(source.channels, source.size, len(data.class_names))
    if scenario.training.channels_last:
        nn.utils.convert_conv2d_weight_memory_format(backbone, torch.channels_last)
    model = Classifier(backbone, mean, std)
    model.bf16 = scenario.training.precision == "bf16"
    return model
