"""What a plug-in is put into by the rules: small networks, batches and a run's own steps."""

from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from engine.data.datasets.base import datasets
from engine.meta.characteristics import Characteristics, characteristics
from engine.methods.base import Learner, Method, Step
from engine.models.classifier import Classifier
from engine.objective import logits_of, losses_of
from engine.perturbation.norms import LinfBall
from engine.perturbation.steps import perturb, random_start
from engine.perturbation.threat import ThreatConfig
from engine.perturbation.training import TrainingAttack
from engine.seeds import initialising
from engine.types import Batch, DeviceImages, ImageSet

NOWHERE = Path("not-used")
"""Of a dataset that is bundled, as digits are."""


class ConvNet(nn.Sequential):
    """One convolution, batch norm and a linear layer; smooth, so that differences are exact."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(4 * 16, num_classes),
        )


def net_of(num_classes: int) -> Classifier:
    """Return a network of images of 4 x 4, always the same one."""
    torch.manual_seed(0)
    net = ConvNet(num_classes)
    net(torch.rand(16, 1, 4, 4))  # running statistics that are not the initial ones
    return Classifier(net, torch.zeros(1), torch.ones(1))


def batch_of_three_classes() -> Batch:
    """Return ten images of 4 x 4, always the same ones."""
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(10, 1, 4, 4, generator=rng)
    y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1, 2])
    return Batch(x, y, torch.arange(10))


def learner_with(net: nn.Module, num_classes: int) -> Learner:
    """Return what a policy may know of a run of four epochs that trains a network."""
    rng = torch.Generator().manual_seed(2)
    x = torch.rand(12, 1, 4, 4, generator=rng)
    meta = Batch(x, torch.arange(12) % num_classes, torch.arange(12))
    threat = ThreatConfig(epsilon=0.1, num_steps=3)
    return Learner(
        model=net,
        optimizer=torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9),
        attack=TrainingAttack(net, threat, torch.Generator().manual_seed(3)),
        device=torch.device("cpu"),
        seed=0,
        epochs=4,
        epsilon=0.1,
        step_size=0.025,
        num_classes=num_classes,
        class_counts=torch.arange(num_classes, 0, -1) ** 2,
        meta=meta,
        validation=DeviceImages((meta.x * 255).byte(), meta.y),
        train=DeviceImages((meta.x * 255).byte(), meta.y),
        batch_size=6,
    )


def learner_of(num_classes: int) -> Learner:
    """Return a learner with so many classes."""
    return learner_with(net_of(num_classes), num_classes)


def traits_of(learner: Learner, batch: Batch) -> Characteristics:
    """Return a batch's characteristics, as the loop computes them."""
    return characteristics(
        learner.log_probabilities(batch.x),
        batch.y,
        class_loss=torch.arange(1, learner.num_classes + 1) / 2,
        class_counts=torch.bincount(batch.y, minlength=learner.num_classes),
    )


def step_of(
    method: Method, learner: Learner, batch: Batch, number: int = 0, *, epoch: int = 1
) -> Step:
    """Return one batch on its way through a training step, as the loop makes it."""
    traits = traits_of(learner, batch)
    assignment = method.assign(batch, traits)
    log_p = learner.log_probabilities(batch.x)
    walk = assignment.walk
    if assignment.direction is None:  # with both copies, even where the loop would draw one
        walk |= {"probability": None}
    copies = learner.attack(batch, log_p, assignment.bound, objective=method.objective, **walk)
    logits = logits_of(method.view(learner.model), batch, copies, objective=method.objective)
    losses = losses_of(logits, batch.y, method.objective, draw=copies.draw)
    said = None if logits.adversary is None else logits.adversary.detach()
    return Step(batch, traits, copies, losses, epoch, number, said)


@cache
def digits() -> ImageSet:
    """Return 300 test digits of all classes."""
    return datasets()["digits"].load(NOWHERE)[1].take(np.arange(300))


@cache
def robust_model() -> nn.Module:
    """Return a small network of digits that was trained on adversaries in l-inf, 0.15."""
    with initialising(0, "robust model"):
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)
        )
    train, rng = datasets()["digits"].load(NOWHERE)[0], torch.Generator().manual_seed(0)
    images = train.to(torch.device("cpu"))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        batch = images.batch(torch.randint(len(images), (128,), generator=rng))
        ball = LinfBall(batch.x, torch.full((128,), 0.15))
        first = random_start(ball, start="uniform", generator=rng)
        loss = partial(_cross_entropies, model, batch.y)
        x_adv = perturb(loss, ball, first, step=torch.full((128,), 0.08), num_steps=4)
        optimizer.zero_grad()
        loss(x_adv).mean().backward()
        optimizer.step()
    return model.eval()


def _cross_entropies(model: nn.Module, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(model(x), y, reduction="none")
