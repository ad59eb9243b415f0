"""Averages, the best epoch and patience, each against what one would do by hand; then in a run."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine.data.preparation import prepare
from engine.evaluation.evaluate import Evaluation, Outcomes, count_by_class
from engine.models.ema import WeightAverage
from engine.training.selection import Deployed, Selection, deployed
from engine.training.trainer import Trainer


def errors(*robust: int, count: int = 10) -> Evaluation:
    """Return the result of a validation with so many robust errors in each class."""
    wrong = np.array(robust)
    return Evaluation(np.full(len(wrong), count), wrong // 2, wrong - wrong // 2)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def shake(model: nn.Module) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    model(torch.randn(8, 2))
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_average_is_the_sum_of_its_definition():
    torch.manual_seed(0)
    model, average = net(), WeightAverage(0.8)
    seen = []
    for _ in range(6):
        seen.append(shake(model))
        average.update(model)
    share = [0.8**5] + [0.2 * 0.8 ** (5 - k) for k in range(1, 6)]
    assert sum(share) == pytest.approx(1)
    for name, value in average.state().items():
        if not value.is_floating_point():
            assert torch.equal(value, seen[-1][name])
            continue
        by_hand = sum(s * state[name].double() for s, state in zip(share, seen, strict=True))
        torch.testing.assert_close(value.double(), by_hand, rtol=1e-5, atol=1e-6)


def test_an_average_is_in_the_models_place_for_a_block_only():
    torch.manual_seed(0)
    model, average = net(), WeightAverage(0.5)
    with average.applied(model):  # of nothing: no change
        pass
    for _ in range(3):
        shake(model)
        average.update(model)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    with average.applied(model):
        for name, value in model.state_dict().items():
            assert torch.equal(value, average.state()[name])
    for name, value in model.state_dict().items():
        assert torch.equal(value, own[name])


def test_the_score_is_average_plus_worst_class_robust_accuracy():
    assert errors(5, 1, 0).robust_score() == pytest.approx((1 - 6 / 30) + (1 - 5 / 10))
    absent = Evaluation(np.array([10, 0]), np.array([2, 0]), np.array([1, 0]))
    assert absent.robust_score() == pytest.approx(0.7 + 0.7)


def test_the_best_epoch_is_the_first_with_the_highest_score():
    torch.manual_seed(0)
    model, selection = net(), Selection(keeps_best=True, patience=None)
    states = {}
    for epoch, result in enumerate([errors(5, 5), errors(6, 3), errors(4, 4), errors(4, 4)], 1):
        states[epoch] = shake(model)
        selection.look(epoch, result, model)
    assert selection.epoch == 3
    with selection.applied(model):
        for name, value in model.state_dict().items():
            assert torch.equal(value, states[3][name])
    for name, value in model.state_dict().items():
        assert torch.equal(value, states[4][name])


@pytest.mark.parametrize(
    ("patience", "over"), [(1, [2, 4, 5, 6]), (2, [5, 6]), (3, [6]), (None, [])]
)
def test_patience_ends_after_so_many_epochs_without_a_better_one(patience, over):
    selection = Selection(keeps_best=False, patience=patience)
    assert selection.is_patient(0)
    ended = []
    for epoch, wrong in enumerate([5, 6, 4, 4, 7, 9], 1):
        selection.look(epoch, errors(wrong, wrong), net())
        if not selection.is_patient(epoch):
            ended.append(epoch)
    assert ended == over


def test_what_was_selected_survives_its_state():
    torch.manual_seed(0)
    model = net()
    first = Selection(keeps_best=True, patience=2)
    assert first.state() == {}
    shake(model)
    first.look(1, errors(3, 4), model)
    again = Selection(keeps_best=True, patience=2)
    again.load_state(first.state())
    assert (again.epoch, again.score) == (first.epoch, first.score)
    assert again.is_patient(2)
    assert not again.is_patient(3)
    assert again.state().keys() == first.state().keys()


@pytest.mark.parametrize(("keeps_best", "patience"), [(True, None), (False, 2), (False, None)])
def test_a_state_holds_the_best_epoch_for_whom_asked_and_weights_for_whom_keeps_them(
    keeps_best, patience
):
    selection = Selection(keeps_best=keeps_best, patience=patience)
    selection.look(3, errors(3, 4), net())
    names = set(selection.state())
    assert ({"epoch", "score"} <= names) is (keeps_best or patience is not None)
    assert any(name.startswith("weights.") for name in names) is keeps_best


def test_the_deployed_weights_are_those_that_the_test_looks_at():
    last, average, best = (torch.tensor(float(n)) for n in range(3))
    state = {"model.w": last, "momentum.w": last}
    assert deployed(state, 7) == Deployed({"w": last}, 7, is_best=False, is_averaged=False)
    state |= {"average.w": average}
    assert deployed(state, 7) == Deployed({"w": average}, 7, is_best=False, is_averaged=True)
    state |= {"selection.weights.w": best, "selection.epoch": torch.tensor(4)}
    assert deployed(state, 7) == Deployed({"w": best}, 4, is_best=True, is_averaged=True)


# -- in a run


@pytest.fixture
def scored(monkeypatch):
    """Let each look at the validation data find a given number of errors per class."""

    def set_errors(wrong: list[int]) -> None:
        real, looks = Trainer._evaluate, []

        def evaluate(self: Any, split: str, epoch: int) -> Outcomes:
            if split == "test":
                return real(self, split, epoch)
            looks.append(epoch)
            label, place = np.divmod(np.arange(10 * 20), 20)
            fooled = place < wrong[epoch - 1]
            return Outcomes(label, label, np.where(fooled, (label + 1) % 10, label))

        monkeypatch.setattr(Trainer, "_evaluate", evaluate)

    return set_errors


def errors_on_test(state: dict[str, torch.Tensor], scenario: Any, prefix: str) -> np.ndarray:
    """Evaluate weights of a state on the test data, in a trainer of their own."""
    trainer = Trainer(
        scenario, prepare(scenario.data, 0, None), Quiet(), device=torch.device("cpu")
    )
    weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    trainer.model.load_state_dict(weights)
    return count_by_class(trainer._evaluate("test", 1), 10).robust


class Quiet:
    def on_progress(self, progress: Any) -> None: ...

    def should_stop(self) -> bool:
        return False


def test_the_best_epoch_on_validation_data_is_the_one_that_is_tested(run, scenario_of, scored):
    scored([9, 3, 5, 4])
    scenario = scenario_of(
        training={"epochs": 4, "lr": 0.3},
        evaluation={"checkpoint": "best"},
        data={"test_size": 200},
    )
    record = run(scenario)
    assert (record.final.epoch, record.final.step) == (2, 8)
    assert record.final.card.checkpoint == "epoch 2 of 4, best on validation data"
    by_hand = errors_on_test(record.epochs[1].state, scenario, "model.")
    assert np.array_equal(record.final.test.robust, by_hand)
    assert not np.array_equal(by_hand, errors_on_test(record.epochs[3].state, scenario, "model."))


def test_a_run_without_a_better_epoch_stops_early_and_is_tested(
    run, scenario_of, scored, assert_equal
):
    scored([9, 3, 5, 4, 1, 1])
    record = run(scenario_of(training={"epochs": 6, "patience": 2, "record_every": 100}))
    assert [report.epoch for report in record.epochs] == [1, 2, 3, 4]
    assert record.epochs[-1].snapshot is not None
    assert record.final.epoch == 4
    assert record.final.card.checkpoint == "last epoch, 4; stopped early of 6"
    scored([9, 3, 5, 4, 1, 1])
    again = run(
        scenario_of(training={"epochs": 6, "patience": 2, "record_every": 100}),
        resume=(4, record.epochs[-1].state),
    )
    assert not again.epochs
    assert_equal(again.final, record.final)


def test_epochs_of_the_warm_start_are_neither_best_nor_tried_patience(run, scenario_of, scored):
    scored([1, 1, 9, 8, 9, 9])
    record = run(
        scenario_of(
            training={"epochs": 6, "warm_start_epochs": 2, "patience": 2},
            evaluation={"checkpoint": "best"},
        )
    )
    assert len(record.epochs) == 6
    assert record.final.epoch == 4


def test_the_average_is_what_is_validated_shown_and_tested(run, scenario_of):
    scenario = scenario_of(
        model={"width": 8},
        data={"train_size": 400, "test_size": 200},
        training={"epochs": 3, "ema_decay": 0.98, "lr": 0.1},
    )
    record = run(scenario)
    state = record.epochs[-1].state
    averaged = errors_on_test(state, scenario, "average.")
    assert np.array_equal(record.final.test.robust, averaged)
    assert not np.array_equal(averaged, errors_on_test(state, scenario, "model."))
    assert record.final.card.checkpoint == "last epoch, averaged weights"


def test_the_model_itself_learns_as_it_would_without_an_average(run, scenario_of):
    with_average, without = (
        run(scenario_of("pgd-at", training={"ema_decay": decay})).epochs[-1].state
        for decay in (0.9, None)
    )
    for name, value in without.items():
        if name.startswith(("model.", "momentum.")):
            assert torch.equal(value, with_average[name])
