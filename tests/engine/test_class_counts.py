"""No class of a run is empty, and its counts are what they are said to be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.config import DataConfig
from engine.data.datasets.base import datasets
from engine.data.preparation import (
    prepare,
    require_every_label,
    smallest_subset,
    stratified_counts,
    training_counts,
)
from engine.errors import UserError
from engine.new_scenario import new_scenario
from engine.realised import realised
from tests.engine.mistakes import tried

NOWHERE = Path("not-used")


@st.composite
def corruptions(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "train_size": draw(st.none() | st.integers(8, 60) | st.integers(60, 1037)),
        "test_size": draw(st.none() | st.integers(8, 60)),
        "meta_per_class": draw(st.none() | st.integers(1, 136)),
        "val_per_class": draw(st.none() | st.integers(1, 136)),
        "noise": {
            "kind": draw(st.sampled_from(["uniform", "flip1", "flip2", "pair"])),
            "ratio": draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 0.999])),
        },
        "imbalance": {
            "factor": draw(st.just(1.0) | st.floats(1, 130) | st.integers(1, 1000)),
            "shuffled": draw(st.booleans()),
        },
    }


FIELDS = {"train_size", "test_size", "meta_per_class", "val_per_class", "imbalance.factor"}


@given(corruptions(), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_data_are_refused_by_field_or_are_what_they_are_said_to_be(data, seed):
    scenario, lines = tried({"data": data, "seed": seed})
    if scenario is None:
        assert set(lines) <= {f"data.{name}" for name in FIELDS}
        assert not any("\n" in line for line in lines.values())
        return
    if prepare(scenario.data, seed, NOWHERE).class_counts.min() == 0:
        with pytest.raises(UserError, match=r"^data\.noise\.ratio: [^\n]* allowed: [^\n]*$"):
            require_every_label(scenario.data, seed, NOWHERE)
        return
    require_every_label(scenario.data, seed, NOWHERE)
    made = prepare(scenario.data, seed, NOWHERE)
    true = np.bincount(made.train.true_labels, minlength=10)
    given_counts = np.bincount(made.train.labels, minlength=10)
    assert true.tolist() == training_counts(scenario.data, seed).tolist()
    assert min(true.min(), given_counts.min(), np.bincount(made.test.labels).min()) >= 1
    found = realised(scenario, true)
    assert found["imbalance_factor"] == true.max() / true.min()
    asked = scenario.data.imbalance.factor
    if asked > 1:
        # What is left between the two is the rounding of the smallest class to whole images.
        assert true.max() / (true.min() + 1) < asked <= found["imbalance_factor"] * (1 + 1e-6)


def test_noise_that_empties_a_class_is_found_before_a_run_is_queued():
    config = DataConfig(train_size=10, noise={"kind": "pair", "ratio": 0.9})
    empty = [seed for seed in range(12) if prepare(config, seed, NOWHERE).class_counts.min() == 0]
    assert empty
    for seed in range(12):
        if seed in empty:
            with pytest.raises(UserError, match=f"data.noise.ratio: 0.9 .* seed {seed} "):
                require_every_label(config, seed, NOWHERE)
        else:
            require_every_label(config, seed, NOWHERE)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=12), st.data())
@settings(max_examples=80, deadline=None)
def test_from_the_smallest_subset_on_no_class_is_empty(available, data):
    counts = np.array(available)
    too_small = [s for s in range(1, sum(available)) if stratified_counts(counts, s).min() == 0]
    size = data.draw(st.sampled_from(too_small))
    least = smallest_subset(counts, size)
    sizes = range(size, sum(available) + 1)
    fit = [bool(stratified_counts(counts, s).min()) for s in sizes]
    assert all(fit[least - size :])
    assert not fit[least - size - 1]


def test_every_dataset_takes_the_smallest_subset_that_a_mistake_names():
    named = 0
    for name, source in datasets().items():
        size = len(source.class_names)
        subset = {"dataset": name, "train_size": size, "test_size": size}
        for path, line in tried({"data": subset})[1].items():
            least = int(line.rpartition("number, ")[2].partition(" to")[0])
            field = path.removeprefix("data.")
            taken = new_scenario({"data": {"dataset": name, field: least}})
            assert getattr(taken.data, field) == least
            named += 1
    assert named
