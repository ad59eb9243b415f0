import math
from dataclasses import replace

import pytest
import torch

from engine.methods.base import METHODS
from engine.types import Batch, Copies


class Shift:
    """An attack that adds a constant, another one each time a set is looked at."""

    def __init__(self):
        self.by = 0.05
        self.seen = 0

    def __call__(self, batch, log_p, bound, objective, step=None):
        self.seen += len(batch)
        assert torch.equal(bound, torch.full((len(batch),), 0.1))
        return Copies(batch.x + self.by, None)

    def on(self, model):
        return self


@pytest.fixture
def attacked(learner):
    return replace(learner, attack=Shift())


def cost_of(learner, shift, beta):
    """Return each class's mean of CE + beta KL on the validation set, then the mean of all."""
    images, labels = learner.validation.images / 255, learner.validation.labels.tolist()
    learner.model.eval()
    with torch.no_grad():
        p, q = (learner.model(x).softmax(dim=1).tolist() for x in (images, images + shift))
    costs = [
        -math.log(p[i][y])
        + beta * sum(a * math.log(a / b) for a, b in zip(p[i], q[i], strict=True))
        for i, y in enumerate(labels)
    ]
    by_class = [[c for c, y in zip(costs, labels, strict=True) if y == k] for k in range(3)]
    return [sum(own) / len(own) for own in by_class] + [sum(costs) / len(costs)]


@pytest.mark.parametrize("at_a_time", [256, 5])
def test_the_weights_are_hedges_closed_form(attacked, at_a_time, monkeypatch):
    monkeypatch.setattr("engine.meta.class_means.AT_A_TIME", at_a_time)
    eta, beta = 0.7, 2.0
    wat = METHODS["wat"](eta=eta, beta=beta).build(attacked)
    sums = [0.0] * 4
    wat.start_epoch(1, None)
    torch.testing.assert_close(wat.prices.expert_weights(), torch.ones(4))  # as released
    for epoch, shift in ((2, 0.05), (3, -0.1), (4, 0.2)):
        attacked.attack.by = shift
        wat.start_epoch(epoch, None)
        sums = [a + b for a, b in zip(sums, cost_of(attacked, shift, beta), strict=True)]
    bets = [math.exp(eta * value) for value in sums]
    expected = [3 * bet / sum(bets) for bet in bets]
    assert wat.prices.expert_weights().tolist() == pytest.approx(expected, rel=1e-4)
    assert attacked.attack.seen == 3 * 12


def test_a_sample_gets_its_classs_weight_and_the_averages(attacked, batch):
    wat = METHODS["wat"]().build(attacked)
    wat.prices.costs = torch.tensor([10.0, 0.0, 5.0, 5.0])
    given = wat.assign(batch, None)
    bets = [math.exp(0.1 * c) for c in (10, 0, 5, 5)]
    w = [3 * bet / sum(bets) for bet in bets]
    expected = torch.tensor([w[y] + w[3] for y in batch.y.tolist()])
    torch.testing.assert_close(given.clean, expected)
    torch.testing.assert_close(given.adversary, 6 * expected)


def test_a_long_run_of_high_costs_stays_finite(attacked, batch):
    wat = METHODS["wat"](eta=10).build(attacked)
    wat.prices.costs = torch.tensor([1e5, 0.0, 3.0, 5e4])
    weights = wat.assign(Batch(batch.x, batch.y, batch.index), None).weights
    assert weights.isfinite().all()
    assert wat.prices.expert_weights().sum().item() == pytest.approx(3)
