"""Weights that a run starts from: what decides its numbers is what they hold, and nothing else."""

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.errors import UserError
from engine.scenario import Scenario
from engine.training.loop import train
from engine.training.selection import deployed
from engine.training.start_weights import read_weights, require_fit, weights_digest


def start(scenario: Scenario, record: Any, **more: Any) -> Any:
    where = {"data_folder": Path("not-used"), "device": torch.device("cpu")}
    train(scenario, record, **where, **more)
    return record


@pytest.fixture(scope="module")
def weights(finished) -> dict[str, torch.Tensor]:
    """Return what a tiny run on digits ended with."""
    return deployed(finished("pgd-at", "small-cnn").epochs[-1].state, 2).weights


def test_a_run_begins_exactly_where_the_weights_are(weights, scenario_of, new_record):
    """One step at a rate of almost nothing leaves them as they were."""
    named = {"start_from": weights_digest(weights), "epochs": 1, "lr": 1e-30, "batch_size": 64}
    scenario = scenario_of("trades", training=named, data={"noise": {"ratio": 0.4}})
    record = start(scenario, new_record(), start=weights)
    state = record.epochs[0].state
    for name, value in weights.items():
        assert torch.equal(state[f"model.{name}"], value), name
    assert record.facts.start_weights == weights_digest(weights)
    plain = start(scenario_of(training={"epochs": 1}), new_record())
    assert plain.facts.start_weights is None


def test_their_normalisation_comes_with_them(weights, scenario_of, new_record):
    named = {"start_from": weights_digest(weights), "epochs": 1}
    scenario = scenario_of(training=named, data={"train_size": 30})
    state = start(scenario, new_record(), start=weights).epochs[0].state
    assert torch.equal(state["model.mean"], weights["mean"])
    images = scenario.prepared(Path("not-used")).train.images
    assert state["model.mean"].item() != pytest.approx(images.mean() / 255, rel=1e-6)


@pytest.mark.parametrize("method", ["caat", "cfa"])
def test_a_run_that_starts_from_weights_resumes_to_the_last_bit_without_them(
    method, weights, scenario_of, new_record, assert_equal
):
    scenario = scenario_of(method, training={"start_from": weights_digest(weights)})
    whole = start(scenario, new_record(), start=weights)
    resumed = start(scenario, new_record(), resume=(1, whole.epochs[0].state))
    assert_equal(resumed.epochs[0], whole.epochs[1])
    assert_equal(resumed.final, whole.final)
    assert resumed.facts.start_weights == whole.facts.start_weights


def test_a_run_begins_with_no_other_weights_than_its_scenario_names(
    weights, scenario_of, new_record
):
    digest = weights_digest(weights)
    named, plain = scenario_of(training={"start_from": digest}), scenario_of()
    other = {**weights, "backbone.0.bias": weights["backbone.0.bias"] + 1}
    for scenario, given in ((named, None), (named, other), (plain, weights)):
        with pytest.raises(UserError, match=r"^training\.start_from: [^\n]*$"):
            start(scenario, new_record(), start=given)


def test_the_digest_is_that_of_names_types_shapes_and_values(weights):
    state = hashlib.sha256()
    for name, value in sorted(weights.items()):
        state.update(f"{name}\0torch.float32\0{tuple(value.shape)}\0".encode())
        state.update(np.ascontiguousarray(value.numpy()).tobytes())
    assert weights_digest(weights) == state.hexdigest()


def test_the_digest_does_not_depend_on_order_or_layout_and_sees_every_change():
    one = {"b": torch.arange(24.0).view(1, 2, 3, 4), "a": torch.tensor(3)}
    same = {"a": torch.tensor(3), "b": one["b"].to(memory_format=torch.channels_last)}
    assert weights_digest(one) == weights_digest(same)
    changed = one["b"].clone()
    changed[0, 1, 2, 3] += 1e-5
    others = [
        {**one, "b": changed},
        {**one, "b": one["b"].view(1, 2, 4, 3)},
        {**one, "b": one["b"].double()},
        {"c": one["b"], "a": one["a"]},
    ]
    assert len({weights_digest(each) for each in [one, *others]}) == 5


def test_both_kinds_of_files_hold_the_same(weights, tmp_path):
    save_file(weights, tmp_path / "one.safetensors", {"epoch": "2"})
    torch.save(weights, tmp_path / "two.pt")
    for name in ("one.safetensors", "two.pt"):
        assert weights_digest(read_weights(tmp_path / name)) == weights_digest(weights)


@pytest.mark.parametrize("name", ["bad.safetensors", "bad.pt"])
@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"no weights", b"\x80\x04N.", b"PK\x03\x04x"])
def test_a_file_without_weights_is_one_line(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"^training\.start_from: [^\n]*{name} holds no weights"):
        read_weights(tmp_path / name)


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("trapped"),))


@pytest.mark.parametrize("held", [Trap(), [1], {}, {"a": 1}, {1: torch.ones(1)}, torch.ones(2)])
def test_a_pickle_of_something_else_is_refused_and_not_run(held, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(held, tmp_path / "held.pt")
    with pytest.raises(UserError, match=r"held\.pt holds no weights"):
        read_weights(tmp_path / "held.pt")
    assert not (tmp_path / "trapped").exists()


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(
        UserError, match=r"^training\.start_from: .*gone\.pt cannot be read \(No su"
    ):
        read_weights(tmp_path / "gone.pt")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model": {"width": 3}}, "backbone.0.bias is 2, there it is 3"),
        ({"model": {"name": "mlp"}}, "backbone.0.bias is"),
        ({"data": {"dataset": "cifar10"}}, "for 10 classes of cifar10: backbone.0.weight is 2 x 1"),
        ({"data": {"dataset": "cifar100"}}, "for 100 classes of cifar100: "),
    ],
)
def test_weights_of_another_network_are_refused(changes, what, weights, scenario_of):
    fields = {"train_size": None, "test_size": None, **changes.get("data", {})}
    other = Scenario.model_validate({"model": {"width": 2}, **changes, "data": fields})
    with pytest.raises(
        UserError, match=rf"^training\.start_from: it does not fit .*{re.escape(what)}"
    ):
        require_fit(other, weights, "it")
    require_fit(scenario_of(), weights, "it")


def test_a_name_too_few_or_too_many_and_a_number_that_is_none_are_refused(weights, scenario_of):
    fewer = {name: value for name, value in weights.items() if name != "mean"}
    for given, what in (
        (fewer, "mean is missing, there it is 1 x 1 x 1 x 1"),
        ({**weights, "tail": torch.ones(2)}, "tail is 2, there it is not part of it"),
        ({**weights, "mean": weights["mean"] * torch.nan}, "holds NaN or infinite numbers"),
    ):
        with pytest.raises(UserError, match=what):
            require_fit(scenario_of(), given, "it")


def test_left_out_it_stands_nowhere_and_changes_no_digest(weights):
    plain, named = Scenario(), Scenario(training={"start_from": weights_digest(weights)})
    assert "start_from" not in plain.as_json()["training"]
    assert named.as_json()["training"]["start_from"] == weights_digest(weights)
    assert named.digest() != plain.digest()
    assert Scenario.model_validate(named.as_json()) == named
