"""A warm start is standard training, costs no more than that, and ends where the method begins."""

from typing import Any

import pytest
import torch
from torch import nn

from engine.data.preparation import prepare
from engine.meta.characteristics import NAMES
from engine.models.classifier import Classifier
from engine.perturbation.steps import perturb
from engine.training.trainer import Trainer


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


def test_the_gallery_of_a_warm_start_walks_nowhere(run, scenario_of, monkeypatch):
    walked = []

    def watched(loss: Any, ball: Any, first: Any, *, step: Any, num_steps: int) -> Any:
        walked.append(num_steps)
        return perturb(loss, ball, first, step=step, num_steps=num_steps)

    monkeypatch.setattr("engine.perturbation.training.perturb", watched)
    record = run(scenario_of("caat", training={"epochs": 2, "warm_start_epochs": 1}))
    assert walked[0] == 0  # the warm start has no walk but that of its gallery
    assert all(walked[1:])
    gallery = record.epochs[0].snapshot.gallery
    assert not gallery["adversary_delta"].any()
    assert not gallery["anti_adversary_delta"].any()
