"""CFOL, held against its update written out sample by sample, and against sums over classes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.methods.base import METHODS
from engine.methods.cfol import Cfol, CfolConfig
from engine.types import Batch


def cfol_of(counts, **fields):
    learner = SimpleNamespace(epsilon=0.1, class_counts=torch.tensor(counts))
    return Cfol(CfolConfig(**fields), learner)


def dealt(labels):
    y = torch.tensor(labels)
    return Batch(torch.rand(len(y), 1, 2, 2), y, torch.arange(len(y)))


def seen(labels, wrong, num_classes):
    """Return a step whose adversaries succeed where ``wrong`` says so."""
    said = [(y + 1) % num_classes if failed else y for y, failed in zip(labels, wrong, strict=True)]
    logits = 3 * torch.nn.functional.one_hot(torch.tensor(said), num_classes).float()
    return SimpleNamespace(batch=dealt(labels), adversary_logits=logits)


def sample_by_sample(labels, wrong, counts, *, eta_s):
    """Return w of the released update, where a sample's chance is that of the dealt batches."""
    share = np.array(counts) / sum(counts)
    w = np.zeros(len(counts))
    for y, failed in zip(labels, wrong, strict=True):
        w[y] += eta_s * float(failed) / share[y]
    return w


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=60),
    st.floats(0.0, 5.0),
    st.floats(0.0, 1.0),
)
def test_the_distribution_is_that_of_the_released_update(samples, eta, gamma):
    counts = [40, 1, 7, 300, 12]
    labels, wrong = (list(column) for column in zip(*samples, strict=True))
    method = cfol_of(counts, eta=eta, gamma=gamma)
    for at in range(0, len(labels), 8):
        method.learn(seen(labels[at : at + 8], wrong[at : at + 8], 5))
    w = sample_by_sample(labels, wrong, counts, eta_s=eta / sum(counts))
    q = np.exp(w - w.max()) / np.exp(w - w.max()).sum()
    expected = gamma / 5 + (1 - gamma) * q
    np.testing.assert_allclose(method.distribution().numpy(), expected, rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("loss", ["pgd-at", "trades"])
def test_over_an_epoch_the_loss_is_the_sum_over_classes_of_their_share_times_their_mean(loss):
    counts = [50, 9, 3, 1]
    method = cfol_of(counts, loss=loss, beta=2.0)
    method.scores = torch.tensor([0.0, 1.0, 2.0, -1.0])
    labels = np.repeat(np.arange(4), counts)
    losses = torch.rand(len(labels), 3, generator=torch.Generator().manual_seed(0))
    weights = method.assign(dealt(labels.tolist()), None).weights
    found = (weights * losses).sum(dim=1).mean().item()
    q = np.exp([0.0, 1.0, 2.0, -1.0]) / np.exp([0.0, 1.0, 2.0, -1.0]).sum()
    own = losses[:, 1] if loss == "pgd-at" else losses[:, 0] + 2 * losses[:, 1]
    means = np.array([own[labels == c].mean().item() for c in range(4)])
    assert found == pytest.approx((0.5 / 4 + 0.5 * q) @ means, rel=1e-5)


def test_in_an_epoch_a_score_grows_by_eta_times_the_classs_robust_error():
    counts = [20, 5, 4]
    labels = [0] * 20 + [1] * 5 + [2] * 4
    wrong = [i < 6 for i in range(20)] + [True] * 5 + [False, False, True, False]
    order = np.random.default_rng(0).permutation(29)
    method = cfol_of(counts, eta=0.7)
    for part in np.array_split(order, 4):
        method.learn(seen([labels[i] for i in part], [wrong[i] for i in part], 3))
    expected = 0.7 * torch.tensor([0.3, 1.0, 0.25])
    torch.testing.assert_close(method.scores, expected)


def test_in_the_end_the_worst_class_has_all_that_is_not_uniform():
    method = cfol_of([10, 10, 10, 10], eta=1.0, gamma=0.4)
    labels = [0] * 10 + [1] * 10 + [2] * 10 + [3] * 10
    rates = (1, 3, 8, 2)
    wrong = [i % 10 < rates[i // 10] for i in range(40)]
    for _ in range(60):
        method.learn(seen(labels, wrong, 4))
    torch.testing.assert_close(method.distribution(), torch.tensor([0.1, 0.1, 0.7, 0.1]))


def test_before_anything_is_learned_each_class_counts_the_same():
    weight = cfol_of([90, 9, 1]).assign(dealt([0, 1, 2]), None).adversary
    torch.testing.assert_close(weight, torch.tensor([100 / 270, 100 / 27, 100 / 3]))


def test_on_balanced_data_and_without_eta_it_is_the_plain_method():
    for loss in ("pgd-at", "trades"):
        given = cfol_of([7, 7, 7], loss=loss, eta=0.0).assign(dealt([0, 1, 2, 2]), None)
        expected = [0.0, 1.0, 0.0] if loss == "pgd-at" else [1.0, 6.0, 0.0]
        torch.testing.assert_close(given.weights, torch.tensor([expected] * 4))


@pytest.mark.parametrize("counts", [[5, 0, 3], [0, 0, 9], [1]])
def test_a_class_without_a_training_sample_has_no_share(counts):
    p = cfol_of(counts, gamma=0.3).distribution()
    assert p.sum().item() == pytest.approx(1)
    assert (p[torch.tensor(counts) == 0] == 0).all()


def test_scores_as_far_apart_as_they_get_still_give_finite_weights():
    method = cfol_of([1000, 1], eta=100.0, gamma=0.0)
    for _ in range(1000):
        method.learn(seen([1], [True], 2))
    weight = method.assign(dealt([0, 1]), None).adversary
    torch.testing.assert_close(weight, torch.tensor([0.0, 1001.0]))


def test_a_batch_is_weighed_by_what_was_known_before_it(learner, batch, step_of):
    method = METHODS["cfol"](eta=50.0).build(learner)
    before = method.assign(batch, None)
    step = step_of(method, learner, batch)
    logits = torch.zeros_like(step.adversary_logits)
    logits[:, 1] = 1.0  # all is taken for class 1
    assert method.learn(replace(step, adversary_logits=logits)) is False
    after = method.assign(batch, None)
    assert not torch.equal(before.weights, after.weights)
    assert method.scores[1] == 0
    assert (method.scores[[0, 2]] > 0).all()
