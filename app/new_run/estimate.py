"""How long a launch will take and what it needs, from what earlier runs took."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from app.text.format import count, duration
from db.reads.throughput import TimedRun
from engine.scenario import Scenario

MOST = 5
"""Earlier runs that one method's estimate looks at."""
NOTHING_MUCH = 10 * 2**20
"""Bytes that any machine has."""
_COPIES = 3
"""Of the parameters: weights, gradients and the optimiser's momentum."""


@dataclass(frozen=True)
class Estimate:
    """What is known of a launch.

    Attributes:
        seconds: Of all its runs that are known, one after the other.
        measured: Earlier runs that this comes from.
        unknown: Methods that no such run was made with.
        scaled: Whether any of the runs had another number of attack steps.
        device: Where the earlier runs were made.
        stored_bytes: Of checkpoints and of what is kept per sample, of all its runs that are known.
        num_bytes: Weights, gradients, momentum and images, which any run holds; None if unknown.
    """

    seconds: float
    measured: int
    unknown: list[str]
    scaled: bool
    device: str
    stored_bytes: float
    num_bytes: int | None


def estimate(
    scenarios: Sequence[Scenario], earlier: Sequence[TimedRun], num_train: int
) -> Estimate:
    """Estimate what scenarios with ``num_train`` training images each will take.

    The time of a run is taken to grow with epochs, training images, and attack steps + 1; a method
    is compared with its own runs on the same model only.

    Args:
        scenarios: Alike but for method and seed.
        earlier: Newest first, on the same dataset; those on the newest one's device count.
        num_train: Training images of each scenario.
    """
    model = scenarios[0].model.model_dump(mode="json")
    alike = [run for run in earlier if run.scenario.get("model") == model]
    device = str(alike[0].facts.get("device", "")) if alike else ""
    alike = [run for run in alike if run.facts.get("device", "") == device]
    seconds, stored, measured, unknown, scaled = 0.0, 0.0, 0, [], False
    for method, times in Counter(scenario.method.label for scenario in scenarios).items():
        known = _closest([run for run in alike if run.method == method], scenarios[0])
        if not known:
            unknown.append(method)
            continue
        one = median(run.seconds / _work_of(run) for run in known)
        seconds += times * one * _work(scenarios[0], num_train)
        size = scenarios[0].training.epochs * num_train
        stored += times * median(_stored(run, size) for run in known)
        measured += len(known)
        scaled |= any(_steps_of(run) != scenarios[0].threat.num_steps for run in known)
    sizes = stored, _bytes(scenarios[0], alike)
    return Estimate(seconds, measured, unknown, scaled, device, *sizes)


def _closest(runs: Sequence[TimedRun], scenario: Scenario) -> list[TimedRun]:
    """Return the longest runs, whose start weighs least; those with as many steps first."""
    steps = scenario.threat.num_steps
    same = [run for run in runs if _steps_of(run) == steps]
    return sorted(same or runs, key=_work_of, reverse=True)[:MOST]


def _work(scenario: Scenario, num_train: int) -> float:
    return scenario.training.epochs * num_train * (scenario.threat.num_steps + 1)


def _work_of(run: TimedRun) -> float:
    return run.epochs * int(run.facts["num_train"]) * (_steps_of(run) + 1)


def _stored(run: TimedRun, size: int) -> float:
    """Return what a run with so many epochs times images would keep."""
    return run.file_bytes + run.sample_bytes * size / (run.epochs * int(run.facts["num_train"]))


def _steps_of(run: TimedRun) -> int:
    return int(run.scenario["threat"]["num_steps"])


def _bytes(scenario: Scenario, alike: Sequence[TimedRun]) -> int | None:
    """Return what any run holds all the time: 4 bytes a number, 1 byte a pixel."""
    if not alike:
        return None
    source = scenario.data.source
    pixels = source.channels * source.size**2
    images = sum(source.train_counts) + sum(source.test_counts)
    return 4 * _COPIES * int(alike[0].facts["num_parameters"]) + pixels * images


def time_in_words(found: Estimate, num_runs: int, num_workers: int) -> str:
    """Say how long a launch will take, how that is known, and what is not."""
    if not found.measured:
        return "No time can be told yet: no run of this method, model and dataset has finished."
    shared = max(min(num_workers, num_runs), 1)
    each = f"shared by {shared} workers" if shared > 1 else "one after the other"
    spread = f", {each}" if num_runs > 1 else ""
    basis = f"from {count(found.measured, 'earlier run')}"
    if found.scaled:
        basis += " with other attack steps"
    two_digits = float(f"{found.seconds / shared:.2g}")
    told = f"About {duration(two_digits)} on {found.device}{spread}, {basis}."
    if found.unknown:
        told += f" Not in it, as never measured: {', '.join(found.unknown)}."
    return told


def memory_in_words(found: Estimate) -> str:
    """Say what a run needs at least; nothing where that is little, or not known."""
    if found.num_bytes is None or found.num_bytes < NOTHING_MUCH:
        return ""
    return (
        f"Memory of each: at least {found.num_bytes / 2**20:,.0f} MiB for the weights with "
        "their optimiser and for the images; PyTorch and a batch's activations come on top."
    )
