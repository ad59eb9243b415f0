"""TRIX, held against its published rule written out in loops, and against DAFA."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.methods.base import METHODS
from engine.methods.trix import UNTARGETED, is_strong
from engine.objective import Objective
from engine.perturbation.training import TrainingAttack
from engine.types import Batch


def strong_by_loops(p, y):
    """Return the published mask: class weights of the batch's clean predictions below their mean.

    As there, a class without samples has 1e-8 on its diagonal.
    """
    num_classes = p.shape[1]
    s = np.zeros((num_classes, num_classes))
    for i in set(y):
        s[i] = p[[label == i for label in y]].mean(axis=0)
    s += 1e-8 * np.eye(num_classes)
    w = np.ones(num_classes)
    for i in range(num_classes):
        for j in range(num_classes):
            if i != j and s[i, i] < s[j, j]:
                w[i] += s[i, j] * s[j, j]
            elif i != j:
                w[i] -= s[j, i] * s[i, i]
    return w[y] < w[y].mean(), w[y] - w[y].mean()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.integers(0, 10**6))
def test_who_is_strong_follows_the_published_loops(labels, seed):
    logits = 2 * torch.randn(
        len(labels), 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    p = logits.softmax(dim=1)
    expected, distance = strong_by_loops(p.numpy(), labels)
    found = is_strong(p, torch.tensor(labels)).numpy()
    clear = np.abs(distance) > 1e-6  # a batch of one class is at its mean
    assert (found == expected)[clear].all()


def test_the_class_that_is_told_best_is_strong_and_those_taken_for_it_are_not():
    """By hand the weights are 1 - 0.45 - 0.09, 1 + 0.45 + 0.07 and 1 + 0.09 - 0.07: mean 1."""
    p = torch.tensor([[0.9, 0.05, 0.05], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]])
    assert is_strong(p, torch.arange(3)).tolist() == [True, False, False]


@pytest.fixture
def still(learner):
    learner.model.eval()  # so that two looks at a batch say the same
    return learner


def test_targets_are_drawn_evenly_from_the_other_classes_and_only_for_the_strong(still, batch):
    method = METHODS["trix"]().build(still)
    strong = is_strong(still.log_probabilities(batch.x).exp(), batch.y)
    assert strong.any()
    assert not strong.all()
    seen = torch.zeros(3, 3)
    for _ in range(600):
        target = method.assign(batch, None).target
        assert torch.equal(target != UNTARGETED, strong)
        seen.index_put_((batch.y[strong], target[strong]), torch.ones(()), accumulate=True)
    assert (seen.diagonal() == 0).all()
    for y in set(batch.y[strong].tolist()):
        shares = np.delete((seen[y] / seen[y].sum()).numpy(), y)
        np.testing.assert_allclose(shares, 0.5, atol=0.08)


def test_an_adversary_with_a_target_descends_its_cross_entropy_the_others_walk_as_before(
    still, batch
):
    """One step of sign descent by hand, and the walk without targets from the same starts."""
    objective = Objective(climbs="kl", start="normal", clean=True)
    log_p, bound = still.log_probabilities(batch.x), torch.full((10,), 0.1)
    target = torch.tensor([1, -1, 0, -1, 2, -1, 1, -1, 0, -1])
    one_step = TrainingAttack(still.model, still.attack.threat.model_copy(), torch.Generator())
    copies = []
    for given_ in (target, None):
        one_step.rng.manual_seed(1)
        copies.append(one_step(batch, log_p, bound, objective=objective, target=given_).adversary)
    walks = target == UNTARGETED
    assert torch.equal(copies[0][walks], copies[1][walks])

    generator = torch.Generator().manual_seed(1)
    x = batch.x + 0.001 * torch.empty_like(batch.x).normal_(generator=generator)
    x = x.clamp(0, 1)
    for _ in range(one_step.threat.num_steps):
        x.requires_grad_()
        loss = -still.model(x).log_softmax(dim=1)[torch.arange(10), target.clamp_min(0)].sum()
        (gradient,) = torch.autograd.grad(loss, x)
        x = x.detach() - one_step.threat.step * gradient.sign()
        x = batch.x + (x - batch.x).clamp(-0.1, 0.1)
        x = x.clamp(0, 1)
    torch.testing.assert_close(copies[0][~walks], x[~walks], atol=1e-6, rtol=0)


def test_weights_bounds_and_steps_are_those_of_dafa(still, batch, step_of):
    """With the same adversarial predictions in the last epoch of the warm-up."""
    methods = [METHODS[name](warm_up=0.3).build(still) for name in ("trix", "dafa")]
    given_ = []
    for method in methods:
        for epoch in (1, 2, 3):
            method.start_epoch(epoch, None)
            if epoch < 3:
                method.learn(step_of(methods[1], still, batch, epoch=epoch))
                still.attack.rng.manual_seed(epoch)
        given_.append(method.assign(batch, None))
        still.attack.rng.manual_seed(3)
    trix, dafa = given_
    assert not (dafa.clean == 1).all()
    torch.testing.assert_close(trix.weights, dafa.weights, atol=1e-3, rtol=0)
    torch.testing.assert_close(trix.bound, dafa.bound, atol=1e-4, rtol=0)
    assert torch.equal(trix.step, trix.clean * still.step_size)


def test_with_one_class_there_is_nothing_to_walk_towards(learner_of):
    method = METHODS["trix"]().build(learner_of(1))
    y = torch.zeros(3, dtype=torch.int64)
    given_ = method.assign(Batch(torch.rand(3, 1, 4, 4), y, torch.arange(3)), None)
    assert (given_.target == UNTARGETED).all()


def test_a_run_uses_its_targets(scenario_of, run, monkeypatch):
    told = []
    before = TrainingAttack.__call__

    def attack(self, *arguments, **options):
        told.append(options.get("target"))
        return before(self, *arguments, **options)

    monkeypatch.setattr(TrainingAttack, "__call__", attack)
    run(scenario_of("trix"))
    targets = torch.cat([target for target in told if target is not None])
    assert len(targets) == 2 * 64
    assert 0 < (targets == UNTARGETED).sum() < len(targets)
