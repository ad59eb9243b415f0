import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from engine.meta.learner import MetaLearner
from engine.meta.virtual_step import prediction_with, virtual_step, weight_gradient
from engine.models.backbones.preact_resnet18 import PreActResNet18Config
from engine.objective import Objective, per_sample_losses
from engine.optim.config import clip
from engine.optim.sgd import ClippingSGD
from engine.types import Batch, Copies

OPTIMIZERS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "weight decay": {"weight_decay": 0.05},
    "momentum and weight decay": {"momentum": 0.8, "weight_decay": 0.05},
    "nesterov": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    "clipped": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05, "clip_norm": 0.1},
    "a limit that is not reached": {"momentum": 0.9, "clip_norm": 1e4},
}
OBJECTIVE = Objective(climbs="kl", start="normal", clean=True, anti_adversary=True)


class Problem:
    """Six samples, their copies and a meta loss, in float64."""

    def __init__(self, model: nn.Module, options: dict, *, filled: bool) -> None:
        torch.manual_seed(5)
        self.model = model.double().train()
        self.optimizer = ClippingSGD(model.parameters(), lr=0.1, **options)
        x = torch.rand(6, 1, 8, 8, dtype=torch.float64)
        self.batch = Batch(x, torch.tensor([0, 1, 2, 0, 1, 2]), torch.arange(6))
        self.copies = Copies(x + 0.1 * torch.randn_like(x), x - 0.1 * torch.randn_like(x))
        self.meta_x = torch.rand(6, 1, 8, 8, dtype=torch.float64)
        self.weights = torch.rand(6, 3, dtype=torch.float64)
        for _ in range(2 if filled else 0):
            self.optimizer.zero_grad()
            F.cross_entropy(model(torch.rand_like(x)), self.batch.y).backward()
            self.optimizer.step()
        self.optimizer.zero_grad()

    def losses_at(self, parameters):
        predict = prediction_with(self.model, parameters, train=True)
        return per_sample_losses(predict, self.batch, self.copies, objective=OBJECTIVE)

    def meta_loss(self, parameters):
        predict = prediction_with(self.model, parameters, train=False)
        return F.cross_entropy(predict(self.meta_x), self.batch.y)

    def meta_loss_after_a_step(self, weights):
        """Write one step of SGD out, with its graph to the weights."""
        parameters = dict(self.model.named_parameters())
        buffers = {name: value.clone() for name, value in self.model.named_buffers()}

        def predict(x):
            return functional_call(self.model, {**parameters, **copy.deepcopy(buffers)}, (x,))

        loss = (
            weights * per_sample_losses(predict, self.batch, self.copies, objective=OBJECTIVE)
        ).sum() / 6
        gradients = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
        if self.optimizer.clip_norm is not None:
            norm = sum(gradient.square().sum() for gradient in gradients).sqrt()
            gradients = [
                g * (self.optimizer.clip_norm / (norm + 1e-6)).clamp(max=1) for g in gradients
            ]
        (group,) = self.optimizer.param_groups
        landed = {}
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
            direction = gradient + group["weight_decay"] * parameter
            velocity = direction
            state = self.optimizer.state[parameter]
            if group["momentum"] and "momentum_buffer" in state:
                velocity = group["momentum"] * state["momentum_buffer"] + direction
            if group["nesterov"]:
                velocity = direction + group["momentum"] * velocity
            landed[name] = parameter - group["lr"] * velocity
        self.model.eval()
        logits = functional_call(self.model, {**landed, **buffers}, (self.meta_x,))
        self.model.train()
        return F.cross_entropy(logits, self.batch.y)

    def gradient(self):
        # The training pass moves the running statistics, as it does in the loop.
        losses = per_sample_losses(self.model, self.batch, self.copies, objective=OBJECTIVE)
        return weight_gradient(
            self.model,
            self.optimizer,
            losses=losses,
            weights=self.weights,
            losses_at=self.losses_at,
            meta_loss=self.meta_loss,
        )


def smooth_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2),
        nn.BatchNorm2d(3),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(27, 3),
    )


def resnet() -> nn.Module:
    torch.manual_seed(0)
    return PreActResNet18Config(width=1).build(1, 8, 3)


def relative_error(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("filled", [False, True], ids=["first step", "later step"])
@pytest.mark.parametrize("options", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("net", [smooth_net, resnet])
def test_the_weight_gradient_equals_double_backward(net, options, filled):
    problem = Problem(net(), options, filled=filled)
    found = problem.gradient()
    weights = problem.weights.clone().requires_grad_()
    (expected,) = torch.autograd.grad(problem.meta_loss_after_a_step(weights), weights)
    assert expected.norm() > 0
    assert relative_error(found, expected) < 1e-6


@pytest.mark.parametrize("options", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_the_weight_gradient_equals_central_differences(options):
    problem = Problem(smooth_net(), options, filled=True)
    found = problem.gradient()
    expected = torch.zeros_like(found)
    for entry in range(18):
        shift = torch.zeros(18, dtype=torch.float64)
        shift[entry] = 1e-4
        shift = shift.view(6, 3)
        above = problem.meta_loss_after_a_step(problem.weights + shift).item()
        below = problem.meta_loss_after_a_step(problem.weights - shift).item()
        expected.view(-1)[entry] = (above - below) / 2e-4
    assert relative_error(found, expected) < 1e-6


def test_descending_the_weight_gradient_lowers_the_meta_loss():
    problem = Problem(smooth_net(), {"momentum": 0.9}, filled=True)
    gradient = problem.gradient()
    before = problem.meta_loss_after_a_step(problem.weights)
    after = problem.meta_loss_after_a_step(problem.weights - 0.1 * gradient / gradient.norm())
    assert after < before


@pytest.mark.parametrize("filled", [False, True], ids=["first step", "later step"])
@pytest.mark.parametrize("options", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_a_virtual_step_lands_where_the_optimiser_lands(options, filled):
    problem = Problem(resnet(), options, filled=filled)
    parameters = dict(problem.model.named_parameters())
    gradients = {name: torch.randn_like(value) for name, value in parameters.items()}
    clipped = clip(gradients, options["clip_norm"])[0] if "clip_norm" in options else gradients
    landed, _ = virtual_step(problem.optimizer, parameters, clipped)
    for name, parameter in parameters.items():
        parameter.grad = gradients[name]
    problem.optimizer.step()
    for name, parameter in parameters.items():
        torch.testing.assert_close(landed[name], parameter.detach(), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("options", [{"momentum": 0.5, "dampening": 0.1}, {"maximize": True}])
def test_an_optimiser_that_the_virtual_step_does_not_know_is_refused(options):
    problem = Problem(smooth_net(), options, filled=False)
    parameters = dict(problem.model.named_parameters())
    with pytest.raises(ValueError, match="dampening"):
        virtual_step(problem.optimizer, parameters, parameters)


@pytest.mark.parametrize("net", [smooth_net, resnet])
def test_learning_weights_touches_neither_the_model_nor_its_optimiser(net):
    problem = Problem(net(), OPTIMIZERS["nesterov"], filled=True)
    losses = per_sample_losses(problem.model, problem.batch, problem.copies, objective=OBJECTIVE)
    model = copy.deepcopy(problem.model.state_dict())
    optimizer = copy.deepcopy(problem.optimizer.state_dict())
    weight_gradient(
        problem.model,
        problem.optimizer,
        losses=losses,
        weights=problem.weights,
        losses_at=problem.losses_at,
        meta_loss=problem.meta_loss,
    )
    assert problem.model.training
    for name, value in problem.model.state_dict().items():
        assert torch.equal(value, model[name]), name
    for index, state in problem.optimizer.state_dict()["state"].items():
        assert torch.equal(state["momentum_buffer"], optimizer["state"][index]["momentum_buffer"])
    assert all(p.grad is None for p in problem.model.parameters())
    losses.sum().backward()  # the graph of the real step is still there


# -- what moves the weighting network


def test_a_descent_is_a_step_of_adam_down_the_gradient_through_the_value_and_no_other(learner):
    """Adam's first steps in closed form, L2 penalty and all."""
    network = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.5, -2.0]]))
    meta = MetaLearner(
        network, learner.meta, seed=learner.seed, lr=0.03, weight_decay=0.1, batch_size=5
    )
    weight, mean, square = torch.tensor([0.5, -2.0]).double(), 0, 0
    network.weight.grad = torch.full((1, 2), 7.0).double()  # left behind by someone else
    for time, slope in enumerate(([1.0, 3.0], [-2.0, 0.5]), 1):
        features = torch.tensor([slope]).double()
        meta.descend(network(features), torch.tensor([[0.25]]).double())
        gradient = 0.25 * features[0] + 0.1 * weight
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        move = (mean / (1 - 0.9**time)) / ((square / (1 - 0.999**time)).sqrt() + 1e-8)
        weight = weight - 0.03 * move
        torch.testing.assert_close(network.weight.detach()[0], weight)


def test_meta_images_are_drawn_anew_without_repetition_and_alike_for_epoch_and_seed(learner):
    meta = MetaLearner(
        nn.Linear(1, 1), learner.meta, seed=learner.seed, lr=0.1, weight_decay=0, batch_size=8
    )

    def drawn(epoch: int) -> list[list[int]]:
        meta.start_epoch(epoch)
        return [meta.batch().index.tolist() for _ in range(3)]

    first = drawn(1)
    assert all(len(set(index)) == 8 for index in first)
    assert first[0] != first[1] != first[2]
    assert drawn(2) != first == drawn(1)
    batch = meta.batch()
    assert torch.equal(batch.x, learner.meta.x[batch.index])
    assert torch.equal(batch.y, learner.meta.y[batch.index])
    few = MetaLearner(
        nn.Linear(1, 1), learner.meta, seed=learner.seed, lr=0.1, weight_decay=0, batch_size=99
    )
    few.start_epoch(1)
    assert sorted(few.batch().index.tolist()) == list(range(12))
