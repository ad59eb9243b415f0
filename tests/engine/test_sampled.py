"""One copy a sample, drawn by its weight: what is lost is noise, not the objective."""

from itertools import product

import pytest
import torch
from torch import nn

from engine.objective import Logits, Objective, losses_of, per_sample_losses
from engine.perturbation.threat import ThreatConfig
from engine.perturbation.training import TrainingAttack
from engine.types import Batch, Copies, Draw

OBJECTIVE = Objective(climbs="kl", start="normal", clean=True, anti_adversary=True)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)).double()


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(3, 1, 3, 4, generator=rng, dtype=torch.float64)
    return Batch(x, torch.tensor([0, 2, 1]), torch.arange(3))


def flat_gradient(loss, model):
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, model.parameters())])


def test_over_all_draws_loss_and_gradient_are_those_of_both_copies(model, batch):
    x_adv, x_anti = batch.x + 0.1, batch.x - 0.1
    weights = torch.tensor([[1.2, 3.0, 0.1], [0.4, 0.5, 0.8], [0.9, 2.0, 0.3]]).double()
    probability = torch.tensor([0.9, 0.2, 0.55], dtype=torch.float64)
    exact = per_sample_losses(model, batch, Copies(x_adv, x_anti), objective=OBJECTIVE)
    exact_loss = (weights * exact).sum(dim=1).mean()
    loss = torch.zeros((), dtype=torch.float64)
    gradient = torch.zeros_like(flat_gradient(exact_loss, model))
    for outcome in product([True, False], repeat=3):
        drawn = torch.tensor(outcome)
        chance = torch.where(drawn, probability, 1 - probability).prod()
        moved = torch.where(drawn.view(-1, 1, 1, 1), x_adv, x_anti)
        copies = Copies(moved, None, Draw(drawn, probability))
        sampled = (
            (weights * per_sample_losses(model, batch, copies, objective=OBJECTIVE))
            .sum(dim=1)
            .mean()
        )
        loss = loss + chance * sampled.detach()
        gradient += chance * flat_gradient(sampled, model)
    exact_loss = (
        (weights * per_sample_losses(model, batch, Copies(x_adv, x_anti), objective=OBJECTIVE))
        .sum(dim=1)
        .mean()
    )
    torch.testing.assert_close(loss, exact_loss.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, flat_gradient(exact_loss, model), rtol=1e-10, atol=1e-14)


def test_each_sample_climbs_or_descends_as_it_was_drawn(model, batch):
    model = model.float()
    batch = Batch(batch.x.float(), batch.y, batch.index)
    threat = ThreatConfig(epsilon=0.2, num_steps=7)
    bound = torch.full((3,), 0.2)
    log_p = model(batch.x).log_softmax(dim=1).detach()

    def attack() -> TrainingAttack:
        return TrainingAttack(model, threat, torch.Generator().manual_seed(3))

    probability = torch.tensor([0.999999, 1e-6, 0.999999])
    copies = attack()(batch, log_p, bound, objective=OBJECTIVE, step=None, probability=probability)
    assert copies.draw is not None
    assert copies.draw.is_adversary.tolist() == [True, False, True]
    assert copies.anti_adversary is None
    after = losses_of_moved(model, batch, copies)
    before = nn.functional.cross_entropy(model(batch.x), batch.y, reduction="none")
    divergence, by_label = after
    assert (divergence[copies.draw.is_adversary] > 0.001).all()
    assert (by_label[1] < before[1]).all()
    assert ((copies.adversary - batch.x).abs() <= 0.2 + 1e-6).all()


def losses_of_moved(model, batch, copies):
    logits = model(copies.adversary)
    clean = model(batch.x).log_softmax(dim=1)
    divergence = (clean.exp() * (clean - logits.log_softmax(dim=1))).sum(dim=1)
    return divergence, nn.functional.cross_entropy(logits, batch.y, reduction="none")


def test_a_copy_that_was_not_drawn_counts_for_nothing(model, batch):

    draw = Draw(torch.tensor([True, False, True]), torch.tensor([0.5, 0.25, 0.8]).double())
    said = Logits(model(batch.x), model(batch.x + 0.1), None)
    losses = losses_of(said, batch.y, OBJECTIVE, draw=draw)
    assert losses[1, 1] == 0
    assert losses[[0, 2], 2].tolist() == [0, 0]
    plain = nn.functional.cross_entropy(said.adversary, batch.y, reduction="none")
    torch.testing.assert_close(losses[1, 2], plain[1] / 0.75)
