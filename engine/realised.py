"""What a scenario's fields lead to together: the numbers that the run really has."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.config import ShareOfRun
from engine.evaluation.evaluate import attack_of
from engine.methods.base import MethodConfig
from engine.optim.schedule import ScheduleConfig
from engine.scenario import Scenario
from engine.types import IntArray


def realised(scenario: Scenario, true_counts: IntArray) -> dict[str, Any]:
    """Return the numbers by name; what the method or the schedule does not have is left out.

    Args:
        scenario: The fields.
        true_counts: (C,) training images of each true class, counted or foreseen
            (`engine.data.preparation.training_counts`).
    """
    threat, training = scenario.threat, scenario.training
    test, validation = (
        attack_of(scenario.evaluation, threat, split=split) for split in ("test", "validation")
    )
    num_steps, total = steps_per_epoch(scenario, true_counts), int(true_counts.sum())
    return {
        "norm": threat.norm,
        "epsilon": threat.epsilon,
        "step_size": threat.step,
        "evaluation_epsilon": test.epsilon,
        "evaluation_step_size": test.step,
        "validation_step_size": validation.step,
        "imbalance_factor": imbalance_factor(true_counts),
        "smallest_class": int(true_counts.min()),
        "meta_share": meta_share(scenario, true_counts),
        "images_per_step": math.ceil(total / num_steps),
        "learning_rate_drops": _drops_in_run(training),
        **_of_method(scenario, num_steps),
    }


def _of_method(scenario: Scenario, num_steps: int) -> dict[str, Any]:
    training = scenario.training
    begins = {
        f"{name}_epoch": _in_run(training, rule, share)
        for name, rule, share in shares_of_run(scenario.method)
    }
    size = getattr(scenario.method, "meta_batch_size", None)
    if size is None:
        return begins
    return {
        **begins,
        "meta_batch_size": min(size, meta_images(scenario)),
        "meta_steps_per_epoch": scenario.method.meta_steps(num_steps),
    }


def _in_run(training: ScheduleConfig, rule: ShareOfRun, share: float) -> int | None:
    """Return the epoch of the run, counted from 1, in which a rule begins; None is never."""
    start = training.warm_start_epochs
    own = rule.begins(share, training.method_epochs, warm_start=start > 0)
    return None if own is None else start + own


def _drops_in_run(training: ScheduleConfig) -> list[int | None] | None:
    """Return after which epochs of the run the rate falls; None where it follows another rule."""
    if training.schedule != "multistep":
        return None
    start = training.warm_start_epochs
    return [None if epoch is None else start + epoch for epoch in drops(training)]


def imbalance_factor(true_counts: IntArray) -> float | None:
    """Return largest over smallest class; None where a class is empty."""
    smallest = int(true_counts.min())
    return int(true_counts.max()) / smallest if smallest else None


def steps_per_epoch(scenario: Scenario, true_counts: IntArray) -> int:
    return max(1, math.ceil(int(true_counts.sum()) / scenario.training.batch_size))


def evaluation_epsilon(scenario: Scenario) -> float:
    own = scenario.evaluation.epsilon
    return scenario.threat.epsilon if own is None else own


def meta_images(scenario: Scenario) -> int:
    return scenario.data.held_out.meta * len(scenario.data.source.class_names)


def meta_share(scenario: Scenario, true_counts: IntArray) -> float:
    """Return meta images per training image; those that train too are no part of the latter."""
    meta = meta_images(scenario)
    return meta / (int(true_counts.sum()) - meta * scenario.training.with_meta)


def shares_of_run(method: MethodConfig) -> Iterator[tuple[str, ShareOfRun, float]]:
    """Yield the fields that are shares of the run, by name, with their marks and values."""
    chosen = method.in_force()
    for name, field in type(method).model_fields.items():
        mark = next((rule for rule in field.metadata if isinstance(rule, ShareOfRun)), None)
        if mark is not None:
            yield name, mark, chosen[name]


def drops(training: ScheduleConfig) -> list[int | None]:
    """Return, of each milestone, after how many of the method's epochs the rate falls.

    None is a milestone that the run does not pass.
    """
    own = training.method_epochs
    done = np.arange(1, own) / own
    return [
        next((int(epoch) + 1 for epoch in np.flatnonzero(done >= share)), None)
        for share in training.milestones
    ]


def latest_share(own_epochs: int) -> float:
    """Return the share of a run after which its last epoch begins."""
    return (own_epochs - 1) / own_epochs
