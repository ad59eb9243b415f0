from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from engine.methods.base import METHODS
from engine.methods.faal import Faal, FaalConfig, worst_distribution


def solved(gain, tau):
    """Return the same optimum by sequential quadratic programming, started anew where it ends."""
    n = len(gain)
    gain = (gain - gain.max()) / np.ptp(gain)
    constraints = [
        {"type": "eq", "fun": lambda p: p.sum() - 1, "jac": lambda p: np.ones(n)},
        {
            "type": "ineq",
            "fun": lambda p: tau + np.log(n * p).mean(),
            "jac": lambda p: 1 / (n * p),
        },
    ]
    p = np.full(n, 1 / n)
    for _ in range(5):
        p = minimize(
            lambda p: -(p @ gain),
            p,
            jac=lambda p: -gain,
            bounds=[(1e-9, 1)] * n,
            constraints=constraints,
            method="SLSQP",
            options={"ftol": 1e-16, "maxiter": 1000},
        ).x
    return p


@pytest.mark.parametrize("tau", [0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("num_classes", [2, 3, 10, 20])
@pytest.mark.parametrize("seed", range(3))
def test_the_worst_distribution_is_the_solvers(num_classes, tau, seed):
    rng = np.random.default_rng(seed)
    gain = rng.normal(size=num_classes) * rng.integers(1, 30, size=num_classes)
    if num_classes > 3:
        gain[1:3] = 0.0
    found = worst_distribution(torch.from_numpy(gain), tau).numpy()
    np.testing.assert_allclose(found, solved(gain, tau), atol=1e-6)


@pytest.mark.parametrize("tau", [1e-6, 0.5, 10.0])
@pytest.mark.parametrize("num_classes", [2, 10, 1000])
def test_the_worst_distribution_spends_the_whole_distance_and_only_that(num_classes, tau):
    torch.manual_seed(0)
    gain = torch.randn(num_classes, dtype=torch.float64)
    p = worst_distribution(gain, tau)
    assert p.sum().item() == pytest.approx(1)
    assert (p > 0).all()
    assert -(num_classes * p).log().mean().item() == pytest.approx(tau, rel=1e-6)
    order = gain.argsort()
    assert (p[order].diff() >= 0).all()


@pytest.mark.parametrize("gain", [[0.0, 0.0, 0.0], [2.5] * 7, [-1e-30] * 4])
def test_equal_gains_leave_every_class_its_share(gain):
    p = worst_distribution(torch.tensor(gain), 0.5)
    torch.testing.assert_close(p, torch.full_like(p, 1 / len(gain)))


def test_one_low_class_among_thousands_still_gives_a_distribution():
    gain = torch.ones(3000)
    gain[0] = 0.0
    p = worst_distribution(gain, 0.5)
    assert p.isfinite().all()
    assert p.sum().item() == pytest.approx(1)
    assert p[0] < p[1]


@pytest.mark.parametrize("loss", ["pgd-at", "trades"])
def test_the_loss_is_k_over_n_times_the_weighted_sum(loss, learner, batch, step_of):
    faal = METHODS["faal"](loss=loss, beta=2.0, fairness_from=0.0).build(learner)
    faal.start_epoch(1, None)
    step = step_of(faal, learner, batch)
    assert faal.learn(step)
    found = (faal.assign(batch, None).weights * step.losses).sum(dim=1).mean().item()

    labels, p = batch.y.tolist(), step.adversary_logits.softmax(dim=1).tolist()
    gain = np.zeros(3)
    for c in range(3):
        margins = [
            max(p[i][k] for k in range(3) if k != c) - p[i][c]
            for i, y in enumerate(labels)
            if y == c
        ]
        gain[c] = np.mean(margins)
    worst = solved(gain, 0.5)
    losses = step.losses.tolist()
    own = [c + 2.0 * a if loss == "trades" else a for c, a, _ in losses]
    expected = 3 / 10 * sum(worst[y] * value for y, value in zip(labels, own, strict=True))
    assert found == pytest.approx(expected, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 19), min_size=2, max_size=40), st.integers(0, 2**31 - 1))
def test_only_classes_of_the_batch_share_the_weight_by_their_mean_margins(labels, seed):
    """Held against a solver that is told the margins written out, class by class."""
    faal = Faal(FaalConfig(fairness_from=0.0), SimpleNamespace(num_classes=20, device="cpu"))
    faal._weighs = True
    y = torch.tensor(labels)
    logits = torch.randn(len(y), 20, generator=torch.Generator().manual_seed(seed))
    faal.learn(SimpleNamespace(batch=SimpleNamespace(y=y), adversary_logits=logits))
    p, present = logits.double().softmax(dim=1).numpy(), sorted(set(labels))
    margins = [
        np.mean([np.delete(p[i], c).max() - p[i, c] for i, own in enumerate(labels) if own == c])
        for c in present
    ]
    weights = faal.weights[present].numpy()
    expected = solved(np.array(margins), 0.5) * len(present) if len(present) > 1 else np.ones(1)
    np.testing.assert_allclose(weights, expected, atol=2e-3)
    assert weights.sum() == pytest.approx(len(present), rel=1e-5)
    assert np.isfinite(faal.weights.numpy()).all()


def test_the_number_of_a_classs_samples_does_not_move_its_weight():
    margins = torch.tensor([[0.0, 3.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    found = []
    for times in (1, 30):
        y = torch.tensor([0] * times + [1, 2])
        faal = Faal(FaalConfig(), SimpleNamespace(num_classes=3, device="cpu"))
        faal._weighs = True
        faal.learn(SimpleNamespace(batch=SimpleNamespace(y=y), adversary_logits=margins[y]))
        found.append(faal.weights)
    torch.testing.assert_close(*found)


def test_classes_are_weighed_only_after_their_share_of_the_run(learner, batch, step_of):
    faal = METHODS["faal"](fairness_from=0.5).build(learner)  # of four epochs
    asked = []
    for epoch in (1, 2, 3, 4):
        faal.start_epoch(epoch, None)
        asked.append(faal.learn(step_of(faal, learner, batch)))
    assert asked == [False, False, True, True]


def test_the_class_with_the_smallest_margin_gets_the_largest_weight(learner, batch, step_of):
    faal = METHODS["faal"](fairness_from=0.0).build(learner)
    faal.start_epoch(1, None)
    logits = 4 * torch.nn.functional.one_hot(batch.y, 3).float()
    logits[batch.y == 2] = torch.tensor([4.0, 0.0, 0.0])
    faal.learn(replace(step_of(faal, learner, batch), adversary_logits=logits))
    assert faal.weights.argmax() == 2
    assert faal.weights.sum().item() == pytest.approx(3)
