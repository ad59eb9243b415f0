"""Adversarial weight perturbation, against its equation by hand."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import functional_call

from engine.data.preparation import prepare
from engine.methods.base import METHODS
from engine.optim.config import TrainingConfig
from engine.optim.weight_perturbation import perturbed_weights
from engine.training.trainer import Trainer


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))


def loss_of(net):
    x = torch.linspace(-1, 1, 32).view(8, 4)
    return nn.functional.cross_entropy(net(x), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]))


def test_each_layers_weights_move_by_gamma_of_their_norm_along_the_gradient(net):
    loss_of(net).backward()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    gradients = {name: p.grad.clone() for name, p in net.named_parameters()}
    with perturbed_weights(net, 0.01):
        moved = {name: p.detach() - before[name] for name, p in net.named_parameters()}
    for name in ("0.weight", "3.weight"):
        wanted = 0.01 * before[name].norm() * gradients[name] / gradients[name].norm()
        torch.testing.assert_close(moved[name], wanted, rtol=1e-4, atol=1e-7)
    for name in ("0.bias", "1.weight", "1.bias", "3.bias"):
        assert not moved[name].any()


def test_the_loss_is_higher_there(net):
    loss_of(net).backward()
    before = loss_of(net).item()
    with perturbed_weights(net, 0.05):
        assert loss_of(net).item() > before


def test_weights_and_running_statistics_come_back_to_the_last_bit(net):
    loss_of(net).backward()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with perturbed_weights(net, 0.3):
        loss_of(net)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_layer_without_a_gradient_stays(net):
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    net[3].weight.grad = None
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with perturbed_weights(net, 0.3):
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_it_begins_after_its_share_of_the_methods_epochs():
    training = TrainingConfig(epochs=12, warm_start_epochs=2, awp_gamma=0.01, awp_from=0.5)
    assert [training.awp_at(epoch) for epoch in (1, 5, 6, 10)] == [None, None, 0.01, 0.01]
    assert TrainingConfig().awp_at(1) is None


def test_a_beginning_without_a_perturbation_is_refused():
    with pytest.raises(ValueError, match=r"0\.5 is not valid without awp_gamma"):
        TrainingConfig(awp_from=0.5)


def test_a_step_of_training_descends_the_gradient_at_the_perturbed_weights(scenario_of, new_record):
    scenario = scenario_of(
        "standard",
        "mlp",
        data={"noise": {"ratio": 0}},
        training={"epochs": 1, "batch_size": 64, "awp_gamma": 0.1, "momentum": 0, "lr": 0.1},
    )
    data = prepare(scenario.data, 0, Path("not-used"))
    trainer = Trainer(scenario, data, new_record(), device=torch.device("cpu"))
    (batch,) = trainer.batches.epoch(1)
    model = copy.deepcopy(trainer.model).train()
    named = dict(model.named_parameters())

    def gradients(weights):
        logits = functional_call(model, weights, (batch.x,))
        loss = nn.functional.cross_entropy(logits, batch.y)
        return dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))

    here = gradients(named)
    there = {
        name: (w + 0.1 * w.norm() * here[name] / here[name].norm() if w.dim() > 1 else w)
        .detach()
        .requires_grad_()
        for name, w in named.items()
    }
    found = gradients(there)
    decay = scenario.training.weight_decay
    trainer.run_epoch(1)
    for name, w in trainer.model.named_parameters():
        wanted = named[name] - 0.1 * (found[name] + decay * named[name])
        torch.testing.assert_close(w, wanted)
        if w.dim() > 1:
            plain = named[name] - 0.1 * (here[name] + decay * named[name])
            assert not torch.allclose(w, plain)


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_trains_with_it(method, scenario_of, run):
    found = run(scenario_of(method, training={"epochs": 1, "awp_gamma": 0.005}))
    assert len(found.epochs) == 1
