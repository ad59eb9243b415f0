"""Every option of training: exact resume, and what it does to a run, its steps and its radius."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine import runtime
from engine.data.preparation import prepare
from engine.methods.base import METHODS
from engine.objective import Objective
from engine.optim.sgd import ClippingSGD
from engine.perturbation.threat import ThreatConfig
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
