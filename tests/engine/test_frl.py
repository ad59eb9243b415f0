import math

import pytest
import torch
import torch.nn.functional as F

from engine.evaluation.class_errors import ClassErrors
from engine.methods.base import METHODS

EPOCHS = [
    ([0.5, 0.1, 0.3], [0.2, 0.6, 0.1]),
    ([0.9, 0.0, 0.1], [0.1, 0.7, 0.0]),
    ([0.2, 0.2, 0.8], [0.5, 0.4, 0.1]),
    ([0.1, 0.6, 0.1], [0.9, 0.2, 0.1]),
]


def limited(values, limit):
    values = [max(value, 0.0) for value in values]
    return [limit * v / sum(values) for v in values] if sum(values) > limit else values


def weights_of(multipliers):
    """Write the released double loop out for three classes."""
    weights = [1 / 3] * 3
    for i in range(3):
        for j in range(3):
            weights[i] += multipliers[j] * (2 / 3 if i == j else -1 / 3)
    return weights


def walked(name, slack, r1, r2, limit, halve_every):
    """Return w0, w1 and l2 after four epochs, by plain loops."""
    l0, l1, l2 = [0.0] * 3, [0.0] * 3, [0.0] * 3
    for epoch, (natural, boundary) in enumerate(EPOCHS, start=2):
        rate = r1
        for past in range(1, epoch + 1):
            if past % halve_every == 0:
                rate /= 2
        g0 = [e - sum(natural) / 3 - slack for e in natural]
        g1 = [e - sum(boundary) / 3 - slack for e in boundary]
        l0 = limited([a + rate * g for a, g in zip(l0, g0, strict=True)], limit)
        if name != "frl-remargin":
            l1 = limited([a + 2 * rate * g for a, g in zip(l1, g1, strict=True)], limit)
        l2 = [a + r2 * g for a, g in zip(l2, g1, strict=True)]
    return weights_of(l0), weights_of(l1), l2


CASES = {
    "frl-reweight": {"slack": 0.1, "r1": 0.05, "r2": 0.0, "limit": 0.5},
    "frl-reweight-remargin": {"slack": 0.07, "r1": 0.05, "r2": 0.2, "limit": 0.5},
    "frl-remargin": {"slack": 0.1, "r1": 0.05, "r2": 0.1, "limit": 0.3},
}
BETA = {"frl-reweight": 1.5, "frl-reweight-remargin": 1.5, "frl-remargin": 1.0}
WIDEST = {"frl-reweight": 1.0, "frl-reweight-remargin": 3.0, "frl-remargin": 2.5}


@pytest.fixture
def trained(learner):
    def build(name, **fields):
        learner.epochs = 10
        method = METHODS[name](fairness_from=0.0, **fields).build(learner)
        method.start_epoch(1, None)
        for epoch, errors in enumerate(EPOCHS, start=2):
            method.start_epoch(epoch, ClassErrors(*map(torch.tensor, errors)))
        return method

    return build


@pytest.mark.parametrize("halve_every", [40, 3, 2])
@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_the_papers_with_the_multipliers_written_out(
    name, halve_every, trained, learner, batch, step_of
):
    method = trained(name, halve_every=halve_every)
    step = step_of(method, learner, batch)
    found = (method.assign(batch, None).weights * step.losses).sum(dim=1).mean().item()

    w0, w1, _ = walked(name, **CASES[name], halve_every=halve_every)
    # step_of left the running statistics as its own passes made them; the losses are its own.
    ce, kl = step.losses[:, 0].tolist(), step.losses[:, 1].tolist()
    labels, beta = batch.y.tolist(), BETA[name]
    natural = sum(w0[y] * loss for y, loss in zip(labels, ce, strict=True))
    boundary = beta * sum(w1[y] * loss for y, loss in zip(labels, kl, strict=True))
    if name == "frl-remargin":
        expected = (natural + boundary) / sum(w0[y] + w1[y] for y in labels)
    else:
        expected = natural / sum(w0[y] for y in labels) + boundary / sum(w1[y] for y in labels)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_ball_is_that_of_its_class(name, trained, batch):
    given = trained(name).assign(batch, None)
    margin = walked(name, **CASES[name], halve_every=40)[2]
    factors = [min(max(math.exp(2 * m), 0.98), WIDEST[name]) for m in margin]
    expected = [0.1 * (1.0 if name == "frl-reweight" else factors[y]) for y in batch.y.tolist()]
    torch.testing.assert_close(given.bound, torch.tensor(expected))
    if name == "frl-reweight-remargin":
        torch.testing.assert_close(given.step, torch.full((10,), max(expected) / 4))
    else:
        assert given.step is None


@pytest.mark.parametrize("name", ["reweight", *CASES])
def test_the_multipliers_wait_for_their_share_of_the_run(name, learner, batch):
    method = METHODS[name](fairness_from=0.5).build(learner)  # of four epochs
    errors = ClassErrors(torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.0, 0.9, 0.0]))
    moved = []
    for epoch in (1, 2, 3, 4):
        method.start_epoch(epoch, None if epoch == 1 else errors)
        moved.append(method.assign(batch, None).weights.unique(dim=0).shape[0] > 1)
    assert moved == [False, False, True, True]


def test_baseline_reweight_by_hand(learner, batch, step_of):
    method = METHODS["reweight"](slack=0.1, multiplier_rate=0.5, fairness_from=0.0).build(learner)
    # robust errors 0.9, 0.4, 0.2: mean 0.5, over it by 0.4 - 0.1 = 0.3, -0.2 and -0.4
    errors = ClassErrors(torch.tensor([0.5, 0.1, 0.2]), torch.tensor([0.4, 0.3, 0.0]))
    method.start_epoch(2, errors)
    torch.testing.assert_close(method.multipliers, torch.tensor([0.15, 0.0, 0.0]))
    weights = [1 / 3 + 0.15 - 0.05, 1 / 3 - 0.05, 1 / 3 - 0.05]
    learner.model.eval()
    step = step_of(method, learner, batch)
    found = (method.assign(batch, None).weights * step.losses).sum(dim=1).mean()
    w = torch.tensor(weights)[batch.y]
    ce = F.cross_entropy(learner.model(step.copies.adversary), batch.y, reduction="none")
    torch.testing.assert_close(found, (w * ce).sum() / w.sum())
    method.start_epoch(3, errors)
    method.start_epoch(4, errors)
    method.start_epoch(5, errors)  # 0.6 is over the limit
    torch.testing.assert_close(method.multipliers, torch.tensor([0.5, 0.0, 0.0]))
