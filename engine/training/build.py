"""The model that a run starts from, and what its policy may use of the run."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from engine.data.preparation import Data
from engine.lazy import nn, torch
from engine.methods.base import Learner
from engine.scenario import Scenario
from engine.seeds import initialising
from engine.types import DeviceImages

if TYPE_CHECKING:
    from engine.models.classifier import Classifier
    from engine.perturbation.training import TrainingAttack


def given_model(scenario: Scenario, module: nn.Module) -> Classifier:
    """Return a copy of a person's own network as a run trains it: from images in [0, 1], as is."""
    from engine.models.classifier import Classifier

    channels = scenario.data.source.channels
    backbone = copy.deepcopy(module)
    if scenario.training.channels_last:
        nn.utils.convert_conv2d_weight_memory_format(backbone, torch.channels_last)
    model = Classifier(backbone, torch.zeros(channels), torch.ones(channels))
    model.bf16 = scenario.training.precision == "bf16"
    return model


def initial_model(scenario: Scenario, data: Data) -> Classifier:
    """Return the scenario's network as its seed makes it, normalised by the training images."""
    from engine.models.classifier import Classifier, channel_statistics

    source = scenario.data.source
    images = data.train.images
    mean, std = channel_statistics(
        torch.from_numpy(images) if isinstance(images, np.ndarray) else images
    )
    with initialising(scenario.seed, "model"):
        backbone = scenario.model.build(source.channels, source.size, len(data.class_names))
    if scenario.training.channels_last:
        nn.utils.convert_conv2d_weight_memory_format(backbone, torch.channels_last)
    model = Classifier(backbone, mean, std)
    model.bf16 = scenario.training.precision == "bf16"
    return model


def learner_of(
    scenario: Scenario,
    data: Data,
    optimizer: torch.optim.SGD,
    *,
    attack: TrainingAttack,
    train: DeviceImages,
) -> Learner:
    """Return what the scenario's policy may know and use, of the model that is attacked."""
    device = train.labels.device
    meta = data.meta.to(device)
    return Learner(
        model=attack.model,
        optimizer=optimizer,
        attack=attack,
        device=device,
        seed=scenario.seed,
        epochs=scenario.training.method_epochs,
        epsilon=scenario.threat.epsilon,
        step_size=scenario.threat.step,
        num_classes=len(data.class_names),
        class_counts=torch.from_numpy(data.class_counts).to(device),
        meta=meta.batch(torch.arange(len(meta), device=device)),
        validation=data.validation.to(device),
        train=train,
        batch_size=scenario.training.batch_size,
    )
