"""Balanced softmax, held against the formulas of its papers and against plain training of g."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from engine.methods.balanced_softmax import log_prior
from engine.methods.base import METHODS
from engine.types import Batch

COUNTS = torch.tensor([700, 30, 1])


class Shifted(nn.Module):
    """g(x) = f(x) + tau log pi, as a network of its own."""

    def __init__(self, net, shift):
        super().__init__()
        self.net, self.shift = net, shift

    def forward(self, x):
        return self.net(x) + self.shift


@pytest.fixture
def imbalanced(learner):
    learner.class_counts = COUNTS
    learner.model.eval()  # so that two looks at a batch say the same
    return learner


def twin(learner, tau):
    """Return a learner of g, whose attack draws the same starts."""
    shift = tau * torch.log(COUNTS / COUNTS.sum())
    other = copy.copy(learner)
    other.model = Shifted(learner.model, shift).eval()
    other.attack = learner.attack.on(other.model)
    return other


def built(loss, learner, **fields):
    beta = {"beta": 2.0} if loss == "trades" else {}
    return METHODS["balanced-softmax"](loss=loss, **beta, **fields).build(learner)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("loss", ["pgd-at", "trades"])
def test_it_is_pgd_at_or_trades_of_the_shifted_network(loss, tau, imbalanced, batch, step_of):
    other = twin(imbalanced, tau)
    plain = METHODS[loss](**({"beta": 2.0} if loss == "trades" else {})).build(other)
    method = built(loss, imbalanced, tau=tau, attack_with_prior=True)
    steps = []
    for policy, learner in ((method, imbalanced), (plain, other)):
        learner.attack.rng.manual_seed(5)
        steps.append(step_of(policy, learner, batch))
    torch.testing.assert_close(steps[0].copies.adversary, steps[1].copies.adversary)
    torch.testing.assert_close(steps[0].losses, steps[1].losses)
    given, expected = (policy.assign(batch, None) for policy in (method, plain))
    assert torch.equal(given.weights, expected.weights)
    assert torch.equal(given.bound, expected.bound)


@pytest.mark.parametrize("loss", ["pgd-at", "trades"])
def test_without_the_prior_the_attack_is_that_of_the_plain_network(
    loss, imbalanced, batch, step_of
):
    method, plain = built(loss, imbalanced), METHODS[loss]().build(imbalanced)
    copies = []
    for policy in (method, plain):
        imbalanced.attack.rng.manual_seed(5)
        copies.append(step_of(policy, imbalanced, batch).copies.adversary)
    assert torch.equal(*copies)
    imbalanced.attack.rng.manual_seed(5)
    with_prior = built(loss, imbalanced, attack_with_prior=True)
    assert not torch.equal(copies[0], step_of(with_prior, imbalanced, batch).copies.adversary)


def test_the_loss_is_the_formula_of_the_paper(imbalanced, batch, step_of):
    """Equation 4 of Ren et al.: -log(n_y exp f_y / sum_k n_k exp f_k), summed by hand."""
    step = step_of(built("pgd-at", imbalanced), imbalanced, batch)
    logits = imbalanced.model(step.copies.adversary).detach().double().numpy()
    counts = COUNTS.double().numpy()
    for i, y in enumerate(batch.y.tolist()):
        total = sum(counts[k] * np.exp(logits[i, k]) for k in range(3))
        expected = -np.log(counts[y] * np.exp(logits[i, y]) / total)
        assert step.losses[i, 1].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 2.0])
def test_what_training_is_content_with_leans_on_the_prior_by_1_minus_tau(tau, imbalanced):
    """On images that say nothing, f = (1 - tau) log pi is the only logits without a gradient."""
    prior = COUNTS.double() / COUNTS.sum()
    f = ((1 - tau) * prior.log()).requires_grad_()
    shift = built("pgd-at", imbalanced, tau=tau).shift.double()
    loss = (prior * -(f + shift).log_softmax(dim=0)).sum()
    (gradient,) = torch.autograd.grad(loss, f)
    torch.testing.assert_close(gradient, torch.zeros(3, dtype=torch.float64), atol=1e-7, rtol=0)


@pytest.mark.parametrize("counts", [[5, 5, 5], [1000, 10, 1], [3, 0, 0], [0, 0, 0], [7]])
def test_the_prior_is_the_share_of_each_class_and_always_a_number(counts):
    found = log_prior(torch.tensor(counts))
    assert found.isfinite().all()
    assert found.exp().sum().item() == pytest.approx(1)
    filled = np.maximum(counts, 1)
    np.testing.assert_allclose(found.exp().numpy(), filled / filled.sum(), rtol=1e-5)


@pytest.mark.parametrize("loss", ["pgd-at", "trades"])
def test_the_gradient_of_the_attack_is_finite_where_a_class_has_no_sample(
    loss, imbalanced, step_of
):
    imbalanced.class_counts = torch.tensor([9, 0, 1])
    y = torch.tensor([0, 0, 2, 0])
    method = built(loss, imbalanced, attack_with_prior=True)
    step = step_of(method, imbalanced, Batch(torch.rand(4, 1, 4, 4), y, y))
    assert step.losses.isfinite().all()
    assert step.copies.adversary.isfinite().all()


def trained(scenario_of, run, method, **fields):
    data = {"noise": {"kind": "pair", "ratio": 0.1}, "imbalance": {"factor": 4}}
    return run(scenario_of(method, method=fields, data=data))


@pytest.mark.parametrize("loss", ["pgd-at", "trades"])
def test_without_tau_a_run_is_that_of_the_plain_method(loss, scenario_of, run, assert_equal):
    found = trained(scenario_of, run, "balanced-softmax", loss=loss, tau=0.0)
    plain = trained(scenario_of, run, loss)
    for one, other in zip(found.epochs, plain.epochs, strict=True):
        assert_equal(one.state, other.state)
        assert_equal(one.measures, other.measures)
    assert_equal(found.final.outcomes, plain.final.outcomes)


def test_a_run_takes_the_counts_of_the_labels_that_it_was_given(scenario_of, run, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "engine.methods.balanced_softmax.log_prior",
        lambda counts: seen.append(counts) or log_prior(counts),
    )
    record = trained(scenario_of, run, "balanced-softmax")
    assert seen[0].tolist() == record.epochs[0].class_counts


def test_evaluation_never_sees_the_prior(scenario_of, run):
    """A prior that outweighs every logit moves the loss, and no prediction at learning rate 0."""
    still = {"lr": 1e-12, "epochs": 1}
    finals, losses = [], []
    for tau in (0.0, 10.0):
        record = run(
            scenario_of(
                "balanced-softmax",
                method={"tau": tau},
                data={"imbalance": {"factor": 4}},
                training=still,
            )
        )
        finals.append(record.final.outcomes)
        losses.append(record.epochs[0].measures["adversary_loss"])
    assert losses[0] != pytest.approx(losses[1], rel=0.1)
    for name in finals[0]:
        np.testing.assert_array_equal(finals[0][name], finals[1][name])
