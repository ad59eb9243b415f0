"""Tiny scenarios, models and runs, small enough that hundreds fit in a minute."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine.data.datasets.base import datasets
from engine.meta.characteristics import Characteristics, characteristics
from engine.methods.base import Learner, Method, Step
from engine.models.backbones.base import BACKBONES, BackboneConfig
from engine.models.classifier import Classifier
from engine.objective import logits_of, losses_of
from engine.perturbation.norms import LinfBall
from engine.perturbation.steps import perturb, random_start
from engine.perturbation.threat import ThreatConfig
from engine.perturbation.training import TrainingAttack
from engine.scenario import Scenario
from engine.seeds import initialising
from engine.training.loop import train
from engine.training.observer import EpochReport, FinalReport, Progress, RunFacts
from engine.types import Batch, DeviceImages, ImageSet
from tests.engine.learning import LEARNING
from tests.engine.released import colour_learner, released


def small_fields(backbone: str) -> dict[str, Any]:
    """Return the fields of a small network, where a backbone has a width to choose."""
    if "width" not in BACKBONES[backbone].model_fields:
        return {}
    return {"width": 1 if backbone == "wrn-28-10" else 2}


class Record:
    """An observer that keeps everything, and stops the run when its step comes."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.epochs: list[EpochReport] = []
        self.progress: list[Progress] = []
        self.facts: RunFacts | None = None
        self.samples: dict[str, Any] = {}
        self.final: FinalReport | None = None

    def on_start(self, facts: RunFacts, samples: dict[str, Any]) -> None:
        self.facts, self.samples = facts, samples

    def on_progress(self, progress: Progress) -> None:
        self.progress.append(progress)

    def on_epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)

    def on_finish(self, report: FinalReport) -> None:
        self.final = report

    def should_stop(self) -> bool:
        return self.stop_at is not None and len(self.progress) >= self.stop_at


def _assert_equal(found: Any, expected: Any) -> None:
    """Compare to the last bit; NaN equals NaN."""
    if dataclasses.is_dataclass(found):
        assert type(found) is type(expected)
        found, expected = vars(found), vars(expected)
    if isinstance(found, dict):
        assert found.keys() == expected.keys()
        for name in found:
            _assert_equal(found[name], expected[name])
    elif isinstance(found, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _assert_equal(one, other)
    elif isinstance(found, torch.Tensor):
        assert torch.equal(found, expected)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="session")
def assert_equal() -> Callable[[Any, Any], None]:
    """Return a comparison of reports, to the last bit."""
    return _assert_equal


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """Compute on one thread, and undo what a run sets for its whole process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_deterministic_debug_mode("default")
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def scenario_of() -> Callable[..., Scenario]:
    """Return a tiny scenario on digits; keywords replace single fields: ``training={"lr": 1}``."""

    def make(method: str = "pgd-at", backbone: str = "small-cnn", /, **changes: Any) -> Scenario:
        tables: dict[str, dict[str, Any]] = {
            "data": {"train_size": 64, "test_size": 20, "noise": {"kind": "pair", "ratio": 0.2}},
            "threat": {"epsilon": "8/255", "num_steps": 2},
            "model": {"name": backbone, **small_fields(backbone)},
            "method": {"name": method, **LEARNING.get(method, {})},
            "training": {"epochs": 2, "batch_size": 16},
            "evaluation": {"num_steps": 2, "val_num_steps": 2},
        }
        for table, fields in changes.items():
            tables[table] = {**tables.get(table, {}), **fields}
        return Scenario.model_validate(tables)

    return make


@pytest.fixture(scope="session")
def small_backbone() -> Callable[[str], BackboneConfig]:
    """Return a backbone by name, as small as it gets."""
    return lambda name: BACKBONES[name](**small_fields(name))


@pytest.fixture(scope="session")
def run() -> Callable[..., Record]:
    """Train a scenario on the CPU and return what its observer was told."""

    def start(scenario: Scenario, record: Record | None = None, resume: Any = None) -> Record:
        record = record or Record()
        train(
            scenario,
            record,
            data_folder=Path("not-used"),
            device=torch.device("cpu"),
            resume=resume,
        )
        return record

    return start


@pytest.fixture(scope="session")
def finished(
    scenario_of: Callable[..., Scenario], run: Callable[..., Record]
) -> Callable[[str, str], Record]:
    """Return the finished tiny run of a method and a backbone, trained once."""

    @cache
    def trained(method: str, backbone: str = "small-cnn") -> Record:
        return run(scenario_of(method, backbone))

    return trained


@pytest.fixture(scope="session")
def new_record() -> type[Record]:
    return Record


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


def net_of(num_classes: int) -> nn.Module:
    torch.manual_seed(0)
    net = ConvNet(num_classes)
    net(torch.rand(16, 1, 4, 4))  # running statistics that are not the initial ones
    return Classifier(net, torch.zeros(1), torch.ones(1))


@pytest.fixture
def conv_net() -> nn.Module:
    return net_of(3)


@pytest.fixture
def batch() -> Batch:
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(10, 1, 4, 4, generator=rng)
    y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1, 2])
    return Batch(x, y, torch.arange(10))


def learner_with(net: nn.Module, num_classes: int) -> Learner:
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


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """Return 300 test digits of all classes."""
    return datasets()["digits"].load(Path("not-used"))[1].take(np.arange(300))


@pytest.fixture(scope="session")
def robust_model() -> nn.Module:
    """Return a small network of digits that was trained on adversaries in l-inf, 0.15."""
    with initialising(0, "robust model"):
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)
        )
    train, rng = datasets()["digits"].load(Path("not-used"))[0], torch.Generator().manual_seed(0)
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


@pytest.fixture
def learner(conv_net: nn.Module) -> Learner:
    return learner_with(conv_net, 3)


@pytest.fixture
def learner_of() -> Callable[[int], Learner]:
    """Return a learner with so many classes."""
    return lambda num_classes: learner_with(net_of(num_classes), num_classes)


@pytest.fixture
def three_channels(learner: Learner) -> Learner:
    """Return the learner with a net of colour images and their statistics."""
    return colour_learner(learner)


@pytest.fixture
def released_of(three_channels: Learner) -> Callable[..., Method]:
    """Build the released protocol of CAAT for images of three channels."""
    return partial(released, three_channels)


@pytest.fixture
def traits_of() -> Callable[[Learner, Batch], Characteristics]:
    """Return a batch's characteristics, as the loop computes them."""

    def look(learner: Learner, batch: Batch) -> Characteristics:
        return characteristics(
            learner.log_probabilities(batch.x),
            batch.y,
            class_loss=torch.arange(1, learner.num_classes + 1) / 2,
            class_counts=torch.bincount(batch.y, minlength=learner.num_classes),
        )

    return look


@pytest.fixture
def step_of(traits_of: Callable[..., Characteristics]) -> Callable[..., Step]:
    """Return one batch on its way through a training step, as the loop makes it."""

    def make(
        method: Method, learner: Learner, batch: Batch, number: int = 0, *, epoch: int = 1
    ) -> Step:
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

    return make
