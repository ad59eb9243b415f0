import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.models.classifier import Classifier
from engine.models.ema import WeightAverage


def net(value: float) -> nn.Module:
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(value)
    return model


def test_the_average_by_hand():
    average = WeightAverage(0.75)
    for value in (8.0, 4.0, 1.0):  # 8; 8 + (4 - 8) / 4 = 7; 7 + (1 - 7) / 4 = 5.5
        average.update(net(value))
    state = average.state()
    assert state["0.weight"].item() == pytest.approx(5.5)
    assert state["1.running_var"].item() == pytest.approx(5.5)
    assert state["1.num_batches_tracked"].item() == 1


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.01, 0.9999),
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40),
)
def test_a_warming_average_is_the_weighted_sum_written_out(decay, values):
    """Each model's weight is what it took when it joined, times all that later ones left it."""
    average = WeightAverage(decay, warms_up=True)
    for value in values:
        average.update(net(value))
    kept = [0.0] + [min(decay, (1 + n) / (10 + n)) for n in range(1, len(values))]
    weights = [(1 - d) * math.prod(kept[k + 1 :]) for k, d in enumerate(kept)]
    assert sum(weights) == pytest.approx(1)
    expected = sum(w * value for w, value in zip(weights, values, strict=True))
    state = average.state()
    for name in ("0.weight", "1.running_mean"):  # batch norm's statistics as well
        assert state[name].item() == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_the_first_model_soon_counts_for_nothing():
    average = WeightAverage(0.999, warms_up=True)
    average.update(net(1.0))
    for _ in range(239):
        average.update(net(0.0))
    assert average.state()["0.weight"].item() < 1e-6  # 0.999 ** 239 is 0.79


def test_an_interrupted_average_goes_on_as_if_it_had_not_been(run, scenario_of, assert_equal):
    scenario = scenario_of(training={"epochs": 3, "ema_decay": 0.999})
    whole = run(scenario)
    again = run(scenario, resume=(1, whole.epochs[0].state))
    assert_equal(again.epochs[-1].state, whole.epochs[-1].state)
    assert whole.epochs[-1].state["average_count"].item() == 3 * 4


def test_an_average_from_before_the_warm_up_ends_by_its_own_rule(run, scenario_of):
    scenario = scenario_of(training={"epochs": 2, "ema_decay": 0.9})
    old = {k: v for k, v in run(scenario).epochs[0].state.items() if k != "average_count"}
    resumed = run(scenario, resume=(1, old)).epochs[-1].state
    assert "average_count" not in resumed
    average = WeightAverage(0.9, warms_up=True)
    average.load_state({name: value.float() for name, value in net(1.0).state_dict().items()})
    average.update(net(3.0))
    assert average.state()["0.weight"].item() == pytest.approx(0.9 * 1 + 0.1 * 3)


def test_the_average_stands_in_for_the_model_and_leaves_it_as_it_was():
    average, model = WeightAverage(0.5), net(1.0)
    average.update(net(2.0))
    average.update(net(4.0))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parameters = list(model.parameters())
    with average.applied(model):
        assert model[0].weight.item() == 3.0
        assert model[1].running_mean.item() == 3.0
        assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_model_comes_back_after_an_error():
    average, model = WeightAverage(0.5), net(1.0)
    average.update(net(2.0))
    with pytest.raises(KeyError), average.applied(model):
        raise KeyError
    assert model[0].weight.item() == 1.0


def test_an_empty_average_changes_nothing():
    average, model = WeightAverage(0.5), net(1.0)
    assert average.is_empty
    assert average.state() == {}
    with average.applied(model):
        assert model[0].weight.item() == 1.0


def test_the_state_goes_round_and_is_not_written_to():
    one, other = WeightAverage(0.9), WeightAverage(0.9)
    one.update(net(1.0))
    state = one.state()
    kept = {name: value.clone() for name, value in state.items()}
    other.load_state(state)
    other.update(net(3.0))
    for name, value in kept.items():
        assert torch.equal(state[name], value)
    one.update(net(3.0))
    for name, value in one.state().items():
        assert torch.equal(value, other.state()[name])


def first_weight(state: dict[str, torch.Tensor], part: str) -> float:
    return state[f"{part}.backbone.0.weight"].flatten()[0].item()


def test_what_is_reported_is_the_average_once_there_is_one(
    run, scenario_of, finished, new_record, monkeypatch
):
    looked_at: list[float] = []
    last_of_epoch: list[float] = []
    forward = Classifier.forward

    def watched(self, x):
        if not self.training:
            looked_at.append(self.backbone[0].weight.flatten()[0].item())
        return forward(self, x)

    class Watching(new_record):
        def on_epoch(self, report):
            super().on_epoch(report)
            last_of_epoch.append(looked_at[-1])

    monkeypatch.setattr(Classifier, "forward", watched)
    training = {"epochs": 3, "record_every": 100}
    record = run(scenario_of("cfa", training=training), Watching())
    states = [report.state for report in record.epochs]
    averaged = [first_weight(state, "average") for state in states]
    own = [first_weight(state, "model") for state in states]
    assert own[1] != averaged[1]
    assert last_of_epoch == averaged  # validation, and in the last epoch the gallery
    assert looked_at[-1] == averaged[2]  # the test
    assert own[1] in looked_at  # the validation that decides whether an epoch joins
    for before, after in itertools.pairwise(states):
        name = "backbone.0.weight"
        expected = 0.85 * before[f"average.{name}"] + 0.15 * after[f"model.{name}"]
        torch.testing.assert_close(after[f"average.{name}"], expected)
    assert record.final.card.checkpoint == "last epoch, averaged weights"
    assert finished("trades").final.card.checkpoint == "last epoch"


def test_a_run_whose_epochs_are_all_too_weak_keeps_its_model(run, scenario_of):
    record = run(scenario_of("cfa", method={"average_threshold": 1.0}))
    assert not [name for name in record.epochs[-1].state if name.startswith("average.")]
    assert record.final.card.checkpoint == "last epoch"
