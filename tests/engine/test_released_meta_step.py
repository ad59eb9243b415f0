"""The meta step of CAAT's released code: when it comes, and its gradient term by term."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS
from engine.models.modes import eval_mode
from engine.types import Batch, Copies
from tests.engine.released import MULTIPLIERS, colour_batch, images_of


@pytest.fixture
def batch():
    return colour_batch()


class Fixed:
    """An attack that moves every image by the same noise, whatever the model."""

    def __call__(self, batch, log_p, bound, objective, step=None, probability=None):
        noise = images_of(len(batch), 11).to(batch.x.dtype) - 0.5
        return Copies(batch.x + 0.2 * noise, batch.x - 0.2 * noise)

    def on(self, model):
        return self


def test_d8_a_meta_step_is_every_fiftieth_batch_of_an_epoch(
    released_of, three_channels, batch, step_of
):
    method = released_of()
    step = step_of(method, three_channels, batch)
    taken, moved = [], 0.0
    for number in range(367):
        before = {name: value.clone() for name, value in method.state().items()}
        taken.append(method.learn(replace(step, number=number)))
        now = method.state()
        changed = [name for name in before if not torch.equal(before[name], now[name])]
        assert bool(changed) == taken[-1]
        moved = max(
            [moved, *((now[n] - before[n]).abs().max().item() for n in before if "network" in n)]
        )
    assert [number for number, step in enumerate(taken) if step] == list(range(49, 367, 50))
    assert sum(taken) == 7
    assert 0 < moved <= 1.01e-4 * 2  # Adam, at a rate of 1e-4


# -- D4, D6, D9: its gradient


def float64(learner):
    """Return the learner in float64, with momentum and an attack that never changes."""
    model = copy.deepcopy(learner.model).double()
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}
    optimizer = torch.optim.SGD(model.parameters(), **options)
    x = images_of(8, 9).double()
    F.cross_entropy(model(x), torch.arange(8) % 3).backward()
    optimizer.step()
    optimizer.zero_grad()
    meta = replace(learner.meta, x=learner.meta.x.double())
    return replace(learner, model=model, optimizer=optimizer, attack=Fixed(), meta=meta)


def written_out_traits(p, y):
    one_hot = F.one_hot(y, 3).double()
    p_y = (p * one_hot).sum(dim=1)
    counts = torch.bincount(y).double()
    return Characteristics(
        loss=-p_y.log(),
        class_loss=torch.full((10,), 5.0),
        gradient_norm=(one_hot - p).square().sum(dim=1).sqrt(),
        margin=p_y - p.masked_fill(one_hot.bool(), -1).max(dim=1).values,
        entropy=-(p * p.log()).sum(dim=1),
        class_proportion=(counts / counts.sum())[y],
    )


def written_out(learner, network, batch, meta, *, detached=False, mode="train"):
    """Return L_meta after one step of SGD down the pseudo-loss, term by term."""
    model = copy.deepcopy(learner.model)
    parameters = dict(model.named_parameters())
    copies = Fixed()(batch, None, None, None)
    x_adv, x_anti = copies.adversary, copies.anti_adversary

    model.train(mode == "train")
    p = model(batch.x).softmax(dim=1)
    traits = written_out_traits(p, batch.y)
    if detached:
        traits = Characteristics(*(value.detach() for value in vars(traits).values()))
    alpha, anti = network(traits).T
    w0, w1 = (
        (1 / 3 + MULTIPLIERS[name] - MULTIPLIERS[name].mean())[batch.y].double()
        for name in ("natural", "boundary")
    )

    model.eval()

    def terms(predict, x, adversary, anti_adversary, y):
        p, q = predict(x).softmax(dim=1), predict(adversary).softmax(dim=1)
        return (p * (p / q).log()).sum(dim=1), -predict(anti_adversary).log_softmax(dim=1)[
            torch.arange(len(y)), y
        ]

    boundary, beneath = terms(model, batch.x, x_adv, x_anti, batch.y)
    loss = (
        (alpha * w0 * -p[torch.arange(10), batch.y].log()).sum() / w0.sum()
        + 1.5 * (alpha * w1 * boundary).sum() / w1.sum()
        + (anti * beneath).mean()
    )
    slopes = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
    landed = {}
    own = dict(learner.model.named_parameters())
    for (name, parameter), slope in zip(parameters.items(), slopes, strict=True):
        buffer = learner.optimizer.state[own[name]]["momentum_buffer"]
        velocity = 0.9 * buffer + slope + 0.05 * parameter.detach()
        landed[name] = parameter.detach() - 0.1 * velocity

    def predict(x):
        return functional_call(model, landed, (x,))

    copies = Fixed()(meta, None, None, None)
    boundary, beneath = terms(predict, meta.x, copies.adversary, copies.anti_adversary, meta.y)
    natural = F.cross_entropy(predict(meta.x), meta.y, reduction="none")
    return (w0 * natural).sum() / w0.sum() + 1.5 * (w1 * boundary).sum() / w1.sum() + beneath.mean()


@pytest.fixture
def exact(three_channels, batch, traits_of):
    """Return a method in float64 at a moderate temperature, its batch, traits and meta images."""
    learner = float64(three_channels)
    config = METHODS["caat"](protocol="as-released", temperature=0.5, hidden=8)
    method = config.build(learner)
    method.network.double()
    method.multipliers.load_state({name: v.clone() for name, v in MULTIPLIERS.items()})
    batch = replace(batch, x=batch.x.double())
    traits = replace(traits_of(learner, batch), class_loss=torch.full((10,), 5.0))
    method.meta.start_epoch(1)
    first = method.meta.batch()
    method.meta.start_epoch(1)
    meta = Batch(first.x[:10], first.y[:10], first.index[:10])
    return method, batch, traits, meta


def meta_loss_of(method, batch, traits):
    pseudo = copy.deepcopy(method.learner.model).train()
    _, loss = method._pseudo_loss(pseudo, batch, traits)
    return method._meta_loss(pseudo, method._landed(pseudo, loss), batch)


def test_d4_and_d6_the_meta_loss_is_that_of_the_written_out_step(exact):
    method, batch, traits, meta = exact
    assert not torch.equal(meta.y, batch.y)  # so that it matters whose labels weigh
    found = meta_loss_of(method, batch, traits)
    expected = written_out(method.learner, method.network, batch, meta)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    in_one_mode = written_out(method.learner, method.network, batch, meta, mode="eval")
    assert abs(in_one_mode.item() / expected.item() - 1) > 1e-3


def test_d6_other_labels_of_the_training_batch_weigh_the_same_meta_images_otherwise(exact):
    method, batch, _, _ = exact
    model, losses = method.learner.model.eval(), []
    landed = dict(model.named_parameters())
    for y in (batch.y, batch.y.roll(1)):
        method.meta.start_epoch(1)
        losses.append(method._meta_loss(model, landed, replace(batch, y=y)).item())
    assert abs(losses[0] - losses[1]) > 1e-3


def test_d9_the_meta_gradient_equals_central_differences_through_the_characteristics(exact):
    method, batch, traits, meta = exact
    parameters = list(method.network.parameters())
    found = torch.autograd.grad(meta_loss_of(method, batch, traits), parameters)
    found = torch.cat([gradient.flatten() for gradient in found])
    expected = torch.zeros_like(found)
    flat = nn.utils.parameters_to_vector(parameters).detach()
    for entry in range(len(flat)):
        ends = []
        for shift in (1e-5, -1e-5):
            shifted = flat.clone()
            shifted[entry] += shift
            nn.utils.vector_to_parameters(shifted, parameters)
            ends.append(written_out(method.learner, method.network, batch, meta).item())
        expected[entry] = (ends[0] - ends[1]) / 2e-5
    nn.utils.vector_to_parameters(flat, parameters)
    assert (found - expected).norm() < 1e-6 * expected.norm()
    detached = written_out(method.learner, method.network, batch, meta, detached=True)
    other = torch.autograd.grad(detached, parameters)
    other = torch.cat([gradient.flatten() for gradient in other])
    assert (other - found).norm() > 0.05 * found.norm()


def test_a_meta_step_touches_neither_the_model_nor_its_optimiser(
    released_of, three_channels, batch, step_of
):
    method = released_of(meta_every=1)
    step = step_of(method, three_channels, batch)
    before = copy.deepcopy(three_channels.model.state_dict())
    assert method.learn(step)
    for name, value in three_channels.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None for p in three_channels.model.parameters())
    step.losses.sum().backward()  # the graph of the real step is still there


def test_a_prediction_that_underflows_breaks_nothing(released_of, three_channels, batch, step_of):
    with torch.no_grad():
        three_channels.model.backbone[-1].bias.copy_(torch.tensor([0.0, 300.0, -300.0]))
    method = released_of(meta_every=1)
    with eval_mode(three_channels.model):
        step = step_of(method, three_channels, batch)
        method.learn(step)
        assert method.assign(batch, step.characteristics).weights.isfinite().all()
