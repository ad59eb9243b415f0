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

from caat_studio_contracts import surroundings
from caat_studio_contracts.surroundings import learner_with, net_of
from engine.meta.characteristics import Characteristics
from engine.methods.base import Learner, Method, Step
from engine.models.backbones.base import BACKBONES, BackboneConfig
from engine.scenario import Scenario
from engine.training.loop import train
from engine.training.observer import EpochReport, FinalReport, Progress, RunFacts
from engine.types import Batch, ImageSet
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


@pytest.fixture
def conv_net() -> nn.Module:
    return net_of(3)


@pytest.fixture
def batch() -> Batch:
    return surroundings.batch_of_three_classes()


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """Return 300 test digits of all classes."""
    return surroundings.digits()


@pytest.fixture(scope="session")
def robust_model() -> nn.Module:
    """Return a small network of digits that was trained on adversaries in l-inf, 0.15."""
    return surroundings.robust_model()


@pytest.fixture
def learner(conv_net: nn.Module) -> Learner:
    return learner_with(conv_net, 3)


@pytest.fixture
def learner_of() -> Callable[[int], Learner]:
    """Return a learner with so many classes."""
    return surroundings.learner_of


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
    return surroundings.traits_of


@pytest.fixture
def step_of() -> Callable[..., Step]:
    """Return one batch on its way through a training step, as the loop makes it."""
    return surroundings.step_of
