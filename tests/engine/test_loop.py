import math
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import Diverged, Stopped
from engine.inspection.distributions import ASSIGNMENT
from engine.meta.characteristics import NAMES
from engine.methods.base import METHODS
from engine.methods.trades import Trades
from engine.scenario import Scenario
from tests.engine.own_backbones import OWN

VARIANTS = ["caat as-released", "caat with more inputs", "meta-weight-net with trades"]
EVERY = [
    pytest.param(method, backbone, id=f"{method}-{backbone}")
    for method in [*METHODS.names(), *VARIANTS]
    for backbone in OWN
    if backbone in ("small-cnn", "preact-resnet18") or method == "caat"
]
"""Every method without and with batch norm, and every backbone."""
ONCE = [pair for pair in EVERY if pair.values[0] == "caat" or pair.values[1] == "small-cnn"]
"""Every method, and every backbone."""


def each(pairs):
    """Run the tests of one pair after each other, as they share its finished run."""
    return pytest.mark.parametrize(("method", "backbone"), pairs, scope="module")


@each(ONCE)
def test_every_method_gives_each_sample_an_assignment(method, backbone, finished, scenario_of):
    record = finished(method, backbone)
    assert [report.epoch for report in record.epochs] == [1, 2]
    for report in record.epochs:
        columns = report.snapshot.columns
        assert np.array_equal(columns["sample"], record.samples["sample"])
        for name in ASSIGNMENT:
            assert columns[name].shape == (64,)
            assert np.isfinite(columns[name]).all()
            assert (columns[name] >= 0).all()
        for name in set(NAMES) & columns.keys():
            assert np.isfinite(columns[name]).all()
        weights = sum(columns[name] for name in ASSIGNMENT[:3])
        assert (weights > 0).any()
        assert columns["bound"].max() <= 1
        assert all(math.isfinite(value) for value in report.measures.values())
        assert report.measures["learning_rate"] == scenario_of().training.lr_at(report.epoch)
        assert report.validation.count.tolist() == [20] * 10
    assert record.final.test.count.sum() == 20
    said = record.final.outcomes
    assert len(set(said["sample"].tolist())) == 20
    assert (said["clean"] != said["label"]).sum() == record.final.test.natural.sum()
    assert (said["attacked"] != said["label"]).sum() == record.final.test.robust.sum()


@each(ONCE)
def test_equal_scenarios_train_equal_models(
    method, backbone, finished, run, scenario_of, assert_equal
):
    torch.manual_seed(123)  # whatever the process did before
    np.random.seed(4)
    again = run(scenario_of(method, backbone))
    assert_equal(again.epochs, finished(method, backbone).epochs)
    assert_equal(again.final, finished(method, backbone).final)


@each(EVERY)
def test_a_run_resumed_after_an_epoch_ends_like_one_that_never_stopped(
    method, backbone, finished, run, scenario_of, assert_equal
):
    whole = finished(method, backbone)
    state = {name: value.clone() for name, value in whole.epochs[0].state.items()}
    resumed = run(scenario_of(method, backbone), resume=(1, whole.epochs[0].state))
    assert [report.epoch for report in resumed.epochs] == [2]
    assert_equal(resumed.epochs[0], whole.epochs[1])
    assert_equal(resumed.final, whole.final)
    assert_equal(whole.epochs[0].state, state)  # what was given is not written to


@pytest.mark.parametrize("method", METHODS.names())
def test_a_report_is_not_changed_by_the_epochs_after_it(method, run, scenario_of):
    scenario = scenario_of(method)
    whole = run(scenario)
    first, second = (report.state for report in whole.epochs)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    assert all(value.device.type == "cpu" for value in first.values())


def test_another_seed_trains_another_model(run, finished, scenario_of):
    other = run(scenario_of(training={"epochs": 1}).model_copy(update={"seed": 1}))
    mine, theirs = finished("pgd-at", "small-cnn").epochs[0].state, other.epochs[0].state
    assert not torch.equal(mine["model.backbone.0.weight"], theirs["model.backbone.0.weight"])


def test_a_model_learns_digits(run, scenario_of):
    record = run(
        scenario_of(
            data={"train_size": 400, "test_size": 100, "noise": {"ratio": 0}},
            model={"width": 4},
            training={"epochs": 12, "lr": 0.1},
        )
    )
    assert record.epochs[-1].validation.natural.sum() < 0.3 * 200
    assert record.final.test.natural.sum() < 0.3 * 100
    assert record.epochs[-1].measures["loss"] < record.epochs[0].measures["loss"] / 2


@pytest.mark.parametrize(("train_size", "batch_size"), [(64, 16), (65, 16), (100, 30), (10, 128)])
def test_an_epoch_shows_every_sample_once_in_batches_of_nearly_equal_size(
    train_size, batch_size, run, scenario_of, monkeypatch
):
    config = METHODS["pgd-at"]
    shown: list[torch.Tensor] = []

    def build(self: Any, learner: Any) -> Any:
        method = original(self, learner)
        assign = method.assign

        def watched(batch: Any, traits: Any) -> Any:
            shown.append(batch.index)
            return assign(batch, traits)

        method.assign = watched
        return method

    original = config.build
    monkeypatch.setattr(config, "build", build)
    training = {"epochs": 2, "batch_size": batch_size}
    record = run(scenario_of(data={"train_size": train_size}, training=training))
    num_steps = record.facts.steps_per_epoch
    assert num_steps == math.ceil(train_size / batch_size)
    epochs = [shown[:num_steps], shown[num_steps:]]
    for batches in epochs:
        assert sorted(torch.cat(batches).tolist()) == list(range(train_size))
        sizes = [len(index) for index in batches]
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1
    assert torch.cat(epochs[0]).tolist() != torch.cat(epochs[1]).tolist()


@pytest.mark.parametrize("stop_at", [0, 1, 3, 5, 7])
def test_a_run_stops_before_the_next_step_when_asked(stop_at, run, scenario_of, new_record):
    record = new_record(stop_at=stop_at)
    with pytest.raises(Stopped):
        run(scenario_of(), record)
    assert len(record.progress) == stop_at
    assert len(record.epochs) == (stop_at > 5)  # four steps and the look at the validation data
    assert record.final is None


def test_a_run_can_be_stopped_while_it_is_tested(run, scenario_of, new_record):
    record = new_record(stop_at=11)
    with pytest.raises(Stopped):
        run(scenario_of(), record)
    assert len(record.epochs) == 2
    assert record.progress[-1].phase == "testing"


def test_progress_counts_up_and_tells_finite_losses(finished):
    progress = finished("pgd-at", "small-cnn").progress
    steps = [told for told in progress if told.phase == "training"]
    assert [told.total_steps for told in steps] == list(range(1, 9))
    assert all(math.isfinite(told.batch_loss) for told in steps)
    assert [told.phase for told in progress if told.phase != "training"] == [
        "validating",
        "validating",
        "testing",
    ]


def test_the_batch_loss_is_told_ten_times_an_epoch(run, scenario_of):
    record = run(scenario_of(data={"train_size": 400}, training={"epochs": 1, "batch_size": 8}))
    told = [step.batch_loss for step in record.progress if step.batch_loss is not None]
    assert len(record.progress) == 50 + 2
    assert len(told) == 10
    assert np.mean(told) == pytest.approx(record.epochs[0].measures["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        pytest.param("caat", {}, id="remargin"),
        pytest.param("caat", {"bounds": "grad"}, id="grad"),
        pytest.param("caat", {"copies": "sampled"}, id="sampled"),
        pytest.param("caat-rl", {}, id="rl"),
    ],
)
def test_a_run_that_diverges_says_where(method, options, run, scenario_of):
    scenario = scenario_of(
        method,
        method={"beta": 100, **options},
        training={"lr": 10, "momentum": 0.99, "weight_decay": 1, "epochs": 40},
    )
    with pytest.raises(
        Diverged,
        match=r"^Diverged at epoch \d+, step [1-4]: \w+ is (NaN|infinite); lr [0-9.]+ Lower",
    ) as error:
        run(scenario)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("bad", "error", "told"),
    [
        (math.nan, Diverged, "epoch 1, step 1: bound is NaN"),
        (math.inf, Diverged, "epoch 1, step 1: bound is infinite"),
        (-0.01, ValueError, "every bound must be at least 0"),
    ],
)
def test_a_bound_that_is_no_radius_ends_the_run_at_the_next_word_of_it(
    bad, error, told, run, scenario_of, monkeypatch
):
    assign = Trades.assign

    def spoiled(self: Any, batch: Any, characteristics: Any) -> Any:
        given = assign(self, batch, characteristics)
        given.bound[-1] = bad
        return given

    monkeypatch.setattr(Trades, "assign", spoiled)
    with pytest.raises(error, match=told):
        run(scenario_of("trades"))


def test_a_last_step_that_ruins_the_model_is_not_reported_as_an_epoch(
    run, scenario_of, new_record, monkeypatch
):
    step = torch.optim.SGD.step
    taken = []

    def ruin(self: Any, *arguments: Any) -> None:
        step(self, *arguments)
        taken.append(1)
        if len(taken) == 4:
            self.param_groups[0]["params"][0].data.fill_(math.inf)

    monkeypatch.setattr(torch.optim.SGD, "step", ruin)
    record = new_record()
    with pytest.raises(Diverged, match="epoch 1, step 4: model is infinite"):
        run(scenario_of(), record)
    assert not record.epochs


@pytest.mark.parametrize("method", [*METHODS.names(), *VARIANTS])
def test_a_class_that_no_training_sample_is_labelled_with_does_no_harm(method, run, scenario_of):
    data = {
        "train_size": 20,
        "noise": {"kind": "uniform", "ratio": 0.95},
        "imbalance": {"factor": 2},
    }
    record = run(scenario_of(method, data=data, training={"batch_size": 8}))
    assert 0 in record.facts.class_counts
    assert min(record.facts.true_class_counts) == 1
    absent = record.facts.class_counts.index(0)
    report = record.epochs[-1]
    assert math.isnan(report.class_measures["adversary_weight"][absent])
    assert absent not in {d.class_index for d in report.snapshot.distributions}
    assert all(math.isfinite(value) for value in report.measures.values())


def test_snapshots_are_taken_every_so_many_epochs_and_at_the_end(run, scenario_of):
    record = run(scenario_of(training={"epochs": 5, "record_every": 2}))
    taken = [report.snapshot is not None for report in record.epochs]
    assert taken == [False, True, False, True, True]


def test_what_is_recorded_does_not_change_what_is_learned(run, scenario_of, assert_equal):
    often, seldom = (
        run(scenario_of("caat", training={"epochs": 3, "record_every": n})) for n in (1, 100)
    )
    assert_equal(often.epochs[-1].state, seldom.epochs[-1].state)
    assert_equal(often.final, seldom.final)


def test_the_facts_are_those_of_the_data(finished):
    record = finished("trades", "small-cnn")
    facts, samples = record.facts, record.samples
    flipped = samples["given_label"] != samples["true_label"]
    assert facts.flipped_labels == flipped.sum() > 0
    assert facts.class_counts == np.bincount(samples["given_label"], minlength=10).tolist()
    assert facts.true_class_counts == np.bincount(samples["true_label"], minlength=10).tolist()
    assert (facts.num_train, facts.num_meta) == (64, 200)
    assert (facts.num_validation, facts.num_test) == (200, 20)
    assert facts.num_parameters == sum(
        value.numel()
        for name, value in record.epochs[0].state.items()
        if name.startswith("momentum.")
    )
    assert facts.as_json()["data_digest"] == facts.data_digest


def test_the_card_says_how_the_test_was_made(finished):
    card = finished("pgd-at", "small-cnn").final.card.as_json()
    said = {name: card[name] for name in ("attack", "epsilon", "num_steps", "n", "subset", "split")}
    assert said == {
        "attack": "pgd",
        "epsilon": 8 / 255,
        "num_steps": 2,
        "n": 20,
        "subset": True,
        "split": "test",
    }
    assert card["step_size"] == pytest.approx(2 / 255)
    assert card["versions"]["torch"] == torch.__version__


def test_a_mean_over_the_epoch_is_that_of_its_samples(finished):
    report = finished("caat", "small-cnn").epochs[-1]
    for name in ASSIGNMENT:
        column = report.snapshot.columns[name].astype(np.float64)
        assert report.measures[name] == pytest.approx(column.mean(), rel=1e-5)


def test_the_normalisation_is_measured_on_the_training_images(finished, scenario_of):
    from engine.data.preparation import prepare

    scenario: Scenario = scenario_of()
    pixels = prepare(scenario.data, scenario.seed, None).train.images / 255.0
    state = finished("pgd-at", "small-cnn").epochs[0].state
    assert state["model.mean"].item() == pytest.approx(pixels.mean(), rel=1e-6)
    assert state["model.std"].item() == pytest.approx(pixels.std(ddof=1), rel=1e-6)
