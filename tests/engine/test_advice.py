"""Who steers by few validation images is told so, and who steers is seen in what comes out."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.advice import advice, standard_deviation
from engine.data.preparation import prepare
from engine.evaluation.class_errors import ClassErrors
from engine.methods.base import METHODS
from engine.realised import realised
from engine.scenario import Scenario


def scenario_with(method="caat", **data):
    return Scenario.model_validate({"method": {"name": method}, "data": data})


@pytest.mark.parametrize("method", [name for name in METHODS.names() if name != "cfa"])
def test_a_method_steers_if_other_validation_labels_train_another_model(
    method, run, finished, scenario_of, monkeypatch
):
    def relabelled(*given, **named):
        data = prepare(*given, **named)
        labels = (data.validation.labels + 1) % 10 // 2 * 2  # and unequal class sizes
        return replace(data, validation=replace(data.validation, labels=labels))

    usual = finished(method).epochs[-1].state
    monkeypatch.setattr("engine.scenario.prepare", relabelled)
    seen = run(scenario_of(method)).epochs[-1].state
    learned = [name for name in usual if name.startswith(("model.", "average."))]
    assert learned
    is_other = not all(torch.equal(seen[name], usual[name]) for name in learned)
    assert is_other == METHODS[method].steers


def test_cfa_steers_as_its_average_leaves_epochs_out_by_them(learner):
    cfa = METHODS["cfa"](average_from=0.0, average_threshold=0.2).build(learner)
    none = torch.zeros(3)
    good, weak = ClassErrors(none, none + 0.1), ClassErrors(none, none + 0.9)
    assert cfa.joins_average(2, good) > cfa.joins_average(2, weak)
    assert METHODS["cfa"].steers


def test_few_validation_images_are_told_with_their_number_if_the_method_steers():
    (line,) = advice(scenario_with(val_per_class=20))
    assert line.startswith("data.val_per_class: caat steers by the errors on 20 validation images")
    assert "up to 0.112; 100 have 0.050, 300 have 0.029" in line
    assert "\n" not in line
    assert advice(scenario_with()) == [line]  # the dataset's own 20
    assert len(advice(scenario_with(dataset="mnist", val_per_class=99))) == 1
    assert not advice(scenario_with(dataset="mnist", val_per_class=100))
    assert not advice(scenario_with("trades", val_per_class=2))


@pytest.mark.parametrize("n", [20, 100])
def test_the_deviation_told_is_the_largest_of_a_share(n):
    """Over every chance of an error, by the binomial distribution itself."""
    k = np.arange(n + 1)
    ways = np.array([math.comb(n, int(i)) for i in k], dtype=float)
    found = []
    for p in np.linspace(0.01, 0.99, 99):
        chance = ways * p**k * (1 - p) ** (n - k)
        mean = (chance * k / n).sum()
        found.append(math.sqrt((chance * (k / n - mean) ** 2).sum()))
    assert standard_deviation(n) == pytest.approx(max(found))


def test_the_meta_sets_share_is_of_the_other_training_images():
    data = {"dataset": "cifar10", "meta_per_class": 300, "val_per_class": 300}
    released = {"data": data, "training": {"with_meta": False}}
    for with_meta in (False, True):
        released["training"]["with_meta"] = with_meta
        scenario = Scenario.model_validate(released)
        told = realised(scenario, scenario.training_counts())
        assert told["meta_share"] == pytest.approx(3000 / (50_000 - 6000))
