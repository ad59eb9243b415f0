"""Every option of training: exact resume, and what it does to a run."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine import runtime
from engine.data.preparation import prepare
from engine.errors import UserError
from engine.evaluation.evaluate import Outcomes, count_by_class
from engine.meta.characteristics import NAMES
from engine.meta.virtual_step import prediction_with
from engine.methods.base import METHODS
from engine.models.classifier import Classifier
from engine.objective import Objective
from engine.optim.sgd import ClippingSGD
from engine.perturbation.threat import ThreatConfig
from engine.perturbation.training import TrainingAttack
from engine.training.trainer import Trainer

OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "augment": {"training": {"augment": True}},
    "multistep": {"training": {"schedule": "multistep"}},
    "cyclic": {"training": {"schedule": "cyclic", "num_cycles": 2}},
    "one-cycle": {"training": {"schedule": "one-cycle"}},
    "warm-up": {"training": {"warmup_epochs": 2}},
    "clip": {"training": {"clip_norm": 0.1}},
    "average": {"training": {"ema_decay": 0.8}},
    "radius warm-up": {"threat": {"epsilon_warmup_epochs": 2}},
    "channels last": {"training": {"channels_last": True}},
    "bf16": {"training": {"precision": "bf16", "channels_last": True}},
    "warm start": {"training": {"warm_start_epochs": 2, "warm_start_lr": 0.1}},
    "patience": {"training": {"patience": 1}},
    "best": {"evaluation": {"checkpoint": "best"}},
    "all": {
        "threat": {"epsilon_warmup_epochs": 1},
        "training": {
            "augment": True,
            "schedule": "multistep",
            "warmup_epochs": 1,
            "clip_norm": 0.5,
            "ema_decay": 0.5,
            "channels_last": True,
            "warm_start_epochs": 1,
            "patience": 2,
        },
        "evaluation": {"checkpoint": "best"},
    },
}
BACKBONES = {
    "channels last": "preact-resnet18",
    "bf16": "preact-resnet18",
    "average": "preact-resnet18",
    "all": "preact-resnet18",
}


@pytest.fixture(autouse=True)
def _bf16_everywhere(monkeypatch):
    """A CPU without the instructions gives the same kind of numbers, only slowly."""
    monkeypatch.setattr(runtime, "_has_bf16", lambda device: True)


@pytest.fixture
def scenario_with(scenario_of):
    def make(option: str, method: str = "caat", **training: Any):
        tables = {name: dict(fields) for name, fields in OPTIONS.get(option, {}).items()}
        tables["training"] = {"epochs": 3, **tables.get("training", {}), **training}
        backbone = BACKBONES.get(option, "small-cnn") if method == "caat" else "small-cnn"
        return scenario_of(method, backbone, **tables)

    return make


RESUMED = [("caat", option) for option in OPTIONS]
RESUMED += [("caat as-released", option) for option in ("average", "warm start", "all")]


@pytest.mark.parametrize(("method", "option"), RESUMED)
def test_a_run_resumed_after_any_epoch_ends_like_one_that_never_stopped(
    method, option, run, scenario_with, assert_equal
):
    scenario = scenario_with(option, method)
    whole = run(scenario)
    for done, report in enumerate(whole.epochs, 1):
        # As a checkpoint file gives it back.
        state = {name: value.contiguous().clone() for name, value in report.state.items()}
        resumed = run(scenario, resume=(done, state))
        assert_equal(resumed.epochs, whole.epochs[done:])
        assert_equal(resumed.final, whole.final)


CHANGING = [name for name in OPTIONS if name not in ("patience", "best", "average", "all")]


@pytest.mark.parametrize("option", CHANGING)
def test_an_option_changes_what_is_learned(option, run, scenario_with):
    changed = scenario_with(option)
    plain = scenario_with("nothing").model_copy(update={"model": changed.model})
    first, second = (run(scenario).epochs[-1].state for scenario in (plain, changed))
    names = [name for name in first if name.startswith("model.")]
    assert any(not torch.equal(first[name], second[name]) for name in names)


RECORDED = {
    "caat": ([2.516716, 2.515364], 182),
    "pgd-at": ([2.310872, 2.301502], 182),
    "trades": ([2.307835, 2.298585], 178),
}
"""Loss of both epochs, and robust errors of the last, from before there were options."""


@pytest.mark.parametrize("method", RECORDED)
def test_without_options_a_run_gives_the_numbers_that_it_always_gave(method, finished):
    epochs = finished(method).epochs
    losses, robust = RECORDED[method]
    assert [report.measures["loss"] for report in epochs] == pytest.approx(losses, rel=1e-4)
    assert epochs[-1].validation.robust.sum() == pytest.approx(robust, abs=2)
    parts = {name.partition(".")[0] for name in epochs[-1].state}
    assert parts <= {"model", "momentum", "method", "validation", "class_loss"}


# -- clipping


def test_a_clipped_step_is_torchs_own():
    torch.manual_seed(0)
    nets = [nn.Linear(3, 2) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    ours = ClippingSGD(nets[0].parameters(), clip_norm=0.5, **options)
    torchs = torch.optim.SGD(nets[1].parameters(), **options)
    x = torch.randn(5, 3)
    for _ in range(4):
        for net in nets:
            net.zero_grad()
            net(x).square().sum().backward()
        nn.utils.clip_grad_norm_(nets[1].parameters(), 0.5)
        ours.step()
        torchs.step()
        norm = torch.cat([p.grad.flatten() for p in nets[0].parameters()]).norm()
        assert norm.item() == pytest.approx(0.5, rel=1e-4)
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one, other)


# -- the radius


def test_the_radius_in_training_rises_from_nothing_in_a_line():
    threat = ThreatConfig(epsilon_warmup_epochs=4)
    assert [threat.share_at(done) for done in (0, 1, 3.5, 4, 9)] == [0, 0.25, 0.875, 1, 1]
    assert ThreatConfig().share_at(0) == 1


def test_every_copy_stays_in_its_share_of_the_ball(learner, batch):
    bound = torch.linspace(0.02, 0.2, len(batch))
    objective = Objective("ce", start="uniform", anti_adversary=True)
    for share in (0.0, 0.3, 1.0):
        learner.attack.share = share
        copies = learner.attack(batch, None, bound, objective=objective)
        for moved in (copies.adversary, copies.anti_adversary):
            reached = (moved - batch.x).abs().amax(dim=(1, 2, 3))
            assert (reached <= share * bound + 1e-6).all()
            assert (reached >= share * bound * 0.9 - 1e-6).all()


@pytest.mark.parametrize("method", [*METHODS.names(), "caat as-released"])
def test_a_methods_bounds_follow_the_radius(method, run, scenario_of):
    def bounds(**threat: Any) -> list[np.ndarray]:
        scenario = scenario_of(method, threat=threat, training={"epochs": 3})
        return [report.snapshot.columns["bound"] for report in run(scenario).epochs]

    risen, full = bounds(epsilon_warmup_epochs=2), bounds()
    if not full[0].any():
        return  # a method that perturbs nothing
    assert (np.sort(risen[0])[:16] == 0).all()  # the first of four batches
    assert 0 < risen[0].mean() < risen[1].mean() < risen[2].mean()
    assert risen[0].mean() == pytest.approx(full[0].mean() * 3 / 16, rel=0.2)


def test_images_are_shown_at_the_edge_of_the_ball_that_they_were_trained_in(run, scenario_of):
    scenario = scenario_of(
        "pgd-at", threat={"epsilon_warmup_epochs": 2, "num_steps": 8}, training={"epochs": 3}
    )
    for report in run(scenario).epochs:
        gallery = report.snapshot.gallery
        reached = np.abs(gallery["adversary_delta"].astype(float)).max(axis=(1, 2, 3))
        assert reached == pytest.approx(gallery["bound"], rel=0.05, abs=1e-4)


# -- warm start


def test_a_warm_start_is_standard_training_and_then_the_method_begins(run, scenario_of):
    training = {"epochs": 3, "warm_start_epochs": 2, "warm_start_lr": 0.02}
    record = run(scenario_of("caat", training=training))
    for report in record.epochs[:2]:
        columns = report.snapshot.columns
        assert (columns["clean_weight"] == 1).all()
        for name in ("adversary_weight", "anti_adversary_weight", "bound"):
            assert not columns[name].any()
        assert report.measures["loss"] == pytest.approx(report.measures["clean_loss"], rel=1e-6)
        assert set(NAMES) <= columns.keys()
    assert record.epochs[2].snapshot.columns["bound"].all()
    begun, after = record.epochs[0].state, record.epochs[1].state
    assert all(
        torch.equal(begun[name], after[name]) for name in begun if name.startswith("method.network")
    )


def test_a_warm_start_moves_the_model_as_plain_sgd_on_the_cross_entropy_does(run, scenario_of):
    scenario = scenario_of(
        "trades", training={"epochs": 2, "warm_start_epochs": 1, "batch_size": 64}
    )
    state = run(scenario).epochs[0].state
    trainer = Trainer(scenario, prepare(scenario.data, 0, None), None, device=torch.device("cpu"))
    model = trainer.model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    images = trainer.train_images
    nn.functional.cross_entropy(model(images.images / 255), images.labels).backward()
    optimizer.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(state[f"model.{name}"], value, rtol=1e-4, atol=1e-6)


def test_the_method_starts_without_the_momentum_of_the_warm_start(run, scenario_of):
    """One step at a rate of almost nothing: the momentum is its gradient alone."""
    scenario = scenario_of(
        "pgd-at",
        training={
            "epochs": 2,
            "warm_start_epochs": 1,
            "batch_size": 64,
            "lr": 1e-12,
            "warm_start_lr": 0.1,
            "weight_decay": 0.0,
            "clip_norm": 1e-3,
        },
    )
    second = run(scenario).epochs[1].state
    norm = torch.cat(
        [value.flatten() for name, value in second.items() if name.startswith("momentum.")]
    ).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


# -- averages, the best epoch, patience


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


# -- precision and memory format


def test_bf16_is_refused_where_the_device_has_none(run, scenario_of, new_record, monkeypatch):
    monkeypatch.setattr(runtime, "_has_bf16", lambda device: False)
    record = new_record()
    with pytest.raises(UserError) as error:
        run(scenario_of(training={"precision": "bf16"}), record)
    assert str(error.value) == (
        "training.precision: 'bf16' needs a GPU or a CPU with instructions for it (AMX, "
        "AVX-512 BF16), and cpu here has none; allowed here: float32"
    )
    assert record.facts is None


def test_bf16_rounds_the_backbone_only_and_not_in_an_evaluation():
    torch.manual_seed(0)
    model = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), torch.zeros(1), torch.ones(1))
    x = torch.rand(7, 1, 8, 8, requires_grad=True)
    exact = model(x)
    model.bf16 = True
    rounded = model(x)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    assert torch.equal(rounded, rounded.bfloat16().float())
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)
    with model.in_float32():
        assert torch.equal(model(x), exact)
    assert model.bf16
    rounded.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in model.parameters())


def test_the_meta_step_looks_at_a_bf16_model_in_float32():
    torch.manual_seed(0)
    model = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), torch.zeros(1), torch.ones(1))
    x, parameters = torch.rand(7, 1, 8, 8), dict(model.named_parameters())
    exact = model(x)
    model.bf16 = True
    assert torch.equal(prediction_with(model, parameters, train=False)(x), exact)
    assert model.bf16


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_facts_say_memory_format_and_precision(channels_last, run, scenario_of):
    training = {"epochs": 1, "channels_last": channels_last}
    scenario = scenario_of("pgd-at", "preact-resnet18", training=training)
    facts = run(scenario).facts
    assert facts.memory_format == ("channels_last" if channels_last else "contiguous")
    assert facts.precision == "float32"
    trainer = Trainer(scenario, prepare(scenario.data, 0, None), None, device=torch.device("cpu"))
    weight = trainer.model.backbone[1].conv2.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last


# -- what a warm start costs


@pytest.mark.parametrize("method", ["trades", "mart", "caat", "meta-weight-net", "cfa"])
def test_a_step_of_a_warm_start_is_one_pass_and_one_way_back(method, run, scenario_of, monkeypatch):
    passes, ways_back, step, backward = [], [], Trainer._step, torch.Tensor.backward
    forward, grad, inside = Classifier.forward, torch.autograd.grad, []

    def counted(self: Any, epoch: int, number: int, batch: Any) -> Any:
        inside.append(epoch)
        try:
            return step(self, epoch, number, batch)
        finally:
            inside.pop()

    def noted(real: Any, into: list[int]) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            into.extend(inside)
            return real(*arguments, **named)

        return call

    monkeypatch.setattr(Trainer, "_step", counted)
    monkeypatch.setattr(Classifier, "forward", noted(forward, passes))
    monkeypatch.setattr(torch.Tensor, "backward", noted(backward, ways_back))
    monkeypatch.setattr(torch.autograd, "grad", noted(grad, ways_back))
    run(scenario_of(method, "resnet32", training={"epochs": 2, "warm_start_epochs": 1}))
    steps = 4
    assert (passes.count(1), ways_back.count(1)) == (steps, steps)
    assert passes.count(2) > steps


def test_the_gallery_of_a_warm_start_walks_nowhere(conv_net, batch, monkeypatch):
    attack = TrainingAttack(conv_net, ThreatConfig(), torch.Generator().manual_seed(0))
    monkeypatch.setattr(torch.autograd, "grad", None)  # any step would call it
    objective = Objective(climbs="ce", start="uniform", anti_adversary=True)
    copies = attack(batch, None, torch.zeros(len(batch)), objective=objective)
    assert torch.equal(copies.adversary, batch.x)
    assert torch.equal(copies.anti_adversary, batch.x)
