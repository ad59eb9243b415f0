"""The meta images can train any method; every count of training samples then has them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.data.preparation import prepare
from engine.methods.base import METHODS
from engine.realised import realised
from engine.scenario import Scenario

NOWHERE = Path("not-used")
DATA = {
    "meta_per_class": 3,
    "train_size": 64,
    "test_size": 20,
    "noise": {"kind": "pair", "ratio": 0.4},
    "imbalance": {"factor": 4},
}


def scenario_with_meta(scenario_of: Any, method: str = "trades", **tables: Any) -> Scenario:
    training = {"epochs": 2, "batch_size": 16, "with_meta": True, **tables.pop("training", {})}
    scenario: Scenario = scenario_of(method, data=DATA, training=training, **tables)
    return scenario


def test_the_meta_images_stand_behind_the_training_images_with_their_true_labels(scenario_of):
    scenario = scenario_with_meta(scenario_of)
    without = prepare(scenario.data, scenario.seed, NOWHERE)
    data = scenario.prepared(NOWHERE)
    n = len(without.train)
    for name in ("images", "labels", "true_labels", "source"):
        joined, own = getattr(data.train, name), getattr(without.train, name)
        assert np.array_equal(joined[:n], own)
        assert np.array_equal(joined[n:], getattr(data.meta, name))
        for part in ("meta", "validation", "test"):
            assert np.array_equal(
                getattr(getattr(data, part), name), getattr(getattr(without, part), name)
            )
    assert len(data.meta) == 30
    assert np.array_equal(data.train.labels[n:], data.train.true_labels[n:])
    assert len(np.unique(data.train.source)) == len(data.train)
    assert data.digest() != without.digest()


def test_counts_are_foreseen_as_they_come(scenario_of):
    scenario = scenario_with_meta(scenario_of)
    data = scenario.prepared(NOWHERE)
    counted = np.bincount(data.train.true_labels, minlength=10)
    assert scenario.training_counts().tolist() == counted.tolist()
    assert data.class_counts.sum() == len(data.train)
    told = realised(scenario, scenario.training_counts())
    assert told["smallest_class"] == counted.min()
    assert told["imbalance_factor"] == counted.max() / counted.min()


@pytest.mark.parametrize("method", METHODS.names())
def test_any_method_trains_on_the_meta_images_and_records_them(method, run, scenario_of):
    scenario = scenario_with_meta(scenario_of, method, training={"epochs": 1})
    record = run(scenario)
    data = scenario.prepared(NOWHERE)
    train, facts, n = data.train, record.facts, len(data.train)
    for name, expected in (
        ("sample", train.source),
        ("given_label", train.labels),
        ("true_label", train.true_labels),
    ):
        assert np.array_equal(record.samples[name], expected)
    wrong = train.labels != train.true_labels
    assert (facts.num_train, facts.num_meta) == (n, 30)
    assert facts.flipped_labels == wrong.sum() > 0
    assert facts.flipped_by_class == np.bincount(train.true_labels[wrong], minlength=10).tolist()
    assert facts.class_counts == np.bincount(train.labels, minlength=10).tolist()
    assert facts.true_class_counts == np.bincount(train.true_labels, minlength=10).tolist()
    assert facts.steps_per_epoch == -(-n // 16)
    report = record.epochs[-1]
    assert report.class_counts == facts.class_counts
    columns = report.snapshot.columns
    assert np.array_equal(columns["sample"], train.source)
    weights = sum(columns[f"{name}_weight"] for name in ("clean", "adversary", "anti_adversary"))
    assert weights.shape == (n,)
    groups = {
        group: sum(
            d.n
            for d in report.snapshot.distributions
            if (d.quantity, d.label_group) == ("bound", group)
        )
        for group in ("all", "clean", "flipped")
    }
    assert groups == {"all": n, "clean": (~wrong).sum(), "flipped": wrong.sum()}


def test_every_meta_image_is_shown_once_an_epoch(run, scenario_of, monkeypatch):
    config, shown = METHODS["pgd-at"], []
    build = config.build

    def watched(self: Any, learner: Any) -> Any:
        method = build(self, learner)
        assign = method.assign
        method.assign = lambda batch, traits: shown.append(batch) or assign(batch, traits)
        return method

    monkeypatch.setattr(config, "build", watched)
    scenario = scenario_with_meta(scenario_of, "pgd-at", training={"epochs": 1})
    run(scenario)
    data = scenario.prepared(NOWHERE)
    index = torch.cat([batch.index for batch in shown])
    order = index.argsort()
    assert index[order].tolist() == list(range(len(data.train)))
    pixels = torch.cat([batch.x for batch in shown])[order][-30:]
    torch.testing.assert_close(pixels, torch.from_numpy(data.meta.images) / 255)
    labels = torch.cat([batch.y for batch in shown])[order][-30:]
    assert labels.tolist() == data.meta.true_labels.tolist()


@pytest.mark.parametrize("method", ["caat", "meta-weight-net", "dafa", "wat"])
def test_a_run_with_meta_images_resumes_to_the_last_bit(method, run, scenario_of, assert_equal):
    scenario = scenario_with_meta(scenario_of, method)
    whole = run(scenario)
    resumed = run(scenario, resume=(1, whole.epochs[0].state))
    assert_equal(resumed.epochs[0], whole.epochs[1])
    assert_equal(resumed.final, whole.final)


def test_a_class_that_noise_empties_has_its_meta_images(run, scenario_of):
    data = {
        "train_size": 20,
        "meta_per_class": 2,
        "noise": {"kind": "uniform", "ratio": 0.95},
        "imbalance": {"factor": 2},
    }
    training = {"batch_size": 8, "epochs": 1}
    assert 0 in run(scenario_of(data=data, training=training)).facts.class_counts
    joined = scenario_of(data=data, training=training | {"with_meta": True})
    assert min(run(joined).facts.class_counts) >= 2


def test_left_out_it_stands_nowhere_and_changes_no_digest():
    plain = Scenario()
    assert "with_meta" not in plain.as_json()["training"]
    assert Scenario(training={"with_meta": False}).digest() == plain.digest()
    chosen = Scenario(training={"with_meta": True})
    assert chosen.as_json()["training"]["with_meta"] is True
    assert chosen.digest() != plain.digest()
    assert Scenario.model_validate(chosen.as_json()) == chosen
