"""The released protocol of CAAT on images of three channels, with fixed class multipliers."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from engine.methods.base import METHODS, Learner, Method
from engine.models.classifier import Classifier
from engine.perturbation.threat import ThreatConfig
from engine.perturbation.training import TrainingAttack
from engine.types import Batch, DeviceImages

MEAN, STD = torch.tensor([0.45, 0.5, 0.4]), torch.tensor([0.1, 0.2, 0.3])
EPSILON = 0.08
MULTIPLIERS = {
    "natural": torch.tensor([0.3, 0.0, 0.1]),
    "boundary": torch.tensor([0.0, 0.2, 0.3]),
    "margin": torch.tensor([0.25, -0.4, 3.0]),
}


def backbone_of(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(64, 3),
    )


def images_of(size: int, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(size, 3, 4, 4, generator=rng)


def colour_learner(learner: Learner) -> Learner:
    """Return a learner with a net of colour images and their statistics."""
    model = Classifier(backbone_of(0), MEAN, STD)
    model(images_of(16, 0))
    threat = ThreatConfig(epsilon=EPSILON, num_steps=10)
    meta_y = torch.arange(12) % 3
    return replace(
        learner,
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.05),
        attack=TrainingAttack(model, threat, torch.Generator().manual_seed(3)),
        epsilon=EPSILON,
        step_size=EPSILON / 4,
        meta=Batch(images_of(12, 5), meta_y, torch.arange(12)),
        validation=DeviceImages((images_of(60, 6) * 255).byte(), torch.arange(60) % 3),
    )


def colour_batch() -> Batch:
    y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1, 2])
    return Batch(images_of(10, 1), y, torch.arange(10))


def released(learner: Learner, **fields: Any) -> Method:
    """Build the protocol; its class multipliers are those of MULTIPLIERS."""
    method = METHODS["caat"](protocol="as-released", **fields).build(learner)
    method.meta.start_epoch(1)
    method.multipliers.load_state({name: v.clone() for name, v in MULTIPLIERS.items()})
    return method
