"""The model that a run starts from."""

import torch
from torch.nn.utils import convert_conv2d_weight_memory_format

from engine.backbone import Classifier, channel_statistics
from engine.dataset import Data
from engine.scenario import Scenario
from engine.seeds import initialising


def initial_model(scenario: Scenario, data: Data) -> Classifier:
    """Return the scenario's network as its seed makes it, normalised by the training images."""
    source = scenario.data.source
    mean, std = channel_statistics(torch.from_numpy(data.train.images))
    with initialising(scenario.seed, "model"):
        backbone = scenario.model.build(source.channels, source.size, len(data.class_names))
    if scenario.training.channels_last:
        convert_conv2d_weight_memory_format(backbone, torch.channels_last)
    model = Classifier(backbone, mean, std)
    model.bf16 = scenario.training.precision == "bf16"
    return model
