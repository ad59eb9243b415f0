"""What benchmarks that train have in common: a run that nobody watches, and cells of a table."""

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from engine.data.preparation import prepare
from engine.evaluation.evaluate import Evaluation
from engine.methods.base import MethodConfig
from engine.runtime import configure
from engine.scenario import Scenario
from engine.training.observer import EpochReport
from engine.training.trainer import Trainer

CPU = torch.device("cpu")


class Silent:
    """An observer that only lets a run go on."""

    def on_progress(self, progress: object) -> None: ...

    def should_stop(self) -> bool:
        return False


def trainer_of(fields: dict[str, Any], method: MethodConfig | None = None) -> Trainer:
    """Return a trainer on one thread of the CPU.

    Args:
        fields: The scenario, as a file would have it.
        method: Takes the place of the scenario's, where a benchmark varies or watches a method.
    """
    scenario = Scenario.model_validate(fields)
    if method is not None:
        scenario = scenario.model_copy(update={"method": method})
    configure(CPU, 1)
    data = prepare(scenario.data, scenario.seed, Path("data"))
    observer: Any = Silent()
    return Trainer(scenario, data, observer, device=CPU)


def train(trainer: Trainer) -> list[EpochReport]:
    """Train to the end, and return what each epoch reports."""
    return [trainer.run_epoch(1 + done) for done in range(trainer.scenario.training.epochs)]


def tested(trainer: Trainer) -> Evaluation:
    """Look at the test data, at the weights or their average, after the last epoch."""
    return trainer.test(trainer.scenario.training.epochs).test


def cells(runs: Iterable[tuple[float, ...]], places: Iterable[int]) -> str:
    """Return a table's cells: mean ± standard deviation over runs of what each run found."""
    columns = zip(zip(*runs, strict=True), places, strict=True)
    return " | ".join(_cell(found, digits) for found, digits in columns)


def _cell(found: tuple[float, ...], digits: int) -> str:
    mean = f"{statistics.mean(found):.{digits}f}"
    return mean if len(found) == 1 else f"{mean} ± {statistics.pstdev(found):.{digits}f}"
