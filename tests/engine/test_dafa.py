from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.meta.class_similarity import class_weights
from engine.methods.base import METHODS
from engine.perturbation.training import TrainingAttack
from engine.types import Batch


def test_the_weights_of_three_classes_by_hand():
    similarity = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])
    # 0 is harder than 1: 0.3 * 0.8 = 0.24 from 1 to 0; than 2: 0.2 * 0.6 = 0.12 from 2 to 0
    # 2 is harder than 1: 0.1 * 0.8 = 0.08 from 1 to 2
    expected = torch.tensor([1 + 0.24 + 0.12, 1 - 0.24 - 0.08, 1 + 0.08 - 0.12])
    torch.testing.assert_close(class_weights(similarity, scale=1.0, floor=0.05), expected)
    half = class_weights(similarity, scale=0.5, floor=0.05)
    torch.testing.assert_close(half, 1 + (expected - 1) / 2)


def written_out(similarity, scale, floor):
    num_classes = len(similarity)
    weights = [1.0] * num_classes
    for i in range(num_classes):
        for j in range(num_classes):
            if i == j or sum(similarity[i]) == 0 or sum(similarity[j]) == 0:
                continue
            if similarity[i][i] < similarity[j][j]:
                weights[i] += scale * similarity[i][j] * similarity[j][j]
            else:
                weights[i] -= scale * similarity[j][i] * similarity[i][i]
    return [max(weight, floor) for weight in weights]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.floats(0, 10), st.integers(0, 10**6), st.booleans())
def test_the_weights_follow_the_loop_over_pairs(num_classes, scale, seed, absent):
    torch.manual_seed(seed)
    similarity = torch.randn(num_classes, num_classes, dtype=torch.float64).mul(3).softmax(dim=1)
    if absent:
        similarity[0] = 0
    found = class_weights(similarity, scale=scale, floor=0.05)
    expected = written_out(similarity.tolist(), scale, 0.05)
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert (found >= 0.05).all()
    if absent:
        assert found[0] == 1


def test_an_easy_class_among_many_that_lean_on_it_stops_at_the_floor():
    num_classes = 200
    similarity = torch.full((num_classes, num_classes), 0.5 / (num_classes - 2))
    similarity[:, 0] = 0.4
    similarity.fill_diagonal_(0.1)
    similarity[0] = 0.1 / (num_classes - 1)
    similarity[0, 0] = 0.9
    weights = class_weights(similarity, scale=1.0, floor=0.05)
    assert weights[0].item() == pytest.approx(0.05)
    assert (weights > 0).all()


def test_the_predictions_are_those_of_the_last_warm_up_epoch(learner, batch, step_of):
    dafa = METHODS["dafa"](warm_up=0.5).build(learner)  # two of four epochs
    rng = torch.Generator().manual_seed(0)
    kept = []
    for epoch in (1, 2, 3):
        dafa.start_epoch(epoch, None)
        assert (dafa.warmed.weights == 1).all() or epoch == 3
        for _ in range(2):
            logits = torch.randn(10, 3, generator=rng)
            step = replace(step_of(dafa, learner, batch, epoch=epoch), adversary_logits=logits)
            dafa.learn(step)
            if epoch == 2:
                kept.append(logits.softmax(dim=1))
    p, y = torch.cat(kept), batch.y.repeat(2)
    similarity = torch.stack([p[y == c].mean(dim=0) for c in range(3)])
    expected = class_weights(similarity, scale=1.0, floor=0.05)
    torch.testing.assert_close(dafa.warmed.weights, expected)
    before = dafa.warmed.weights
    dafa.start_epoch(4, None)
    assert torch.equal(dafa.warmed.weights, before)


def test_the_loop_attacks_with_the_steps_that_are_assigned(run, scenario_of, monkeypatch):
    steps = []
    attack = TrainingAttack.__call__

    def watched(self, batch, log_p, bound, *, step=None, **more):
        steps.append((bound, step))
        return attack(self, batch, log_p, bound, step=step, **more)

    monkeypatch.setattr(TrainingAttack, "__call__", watched)
    record = run(scenario_of("dafa"))
    weights = record.epochs[-1].state["method.weights"]
    assert weights.unique().numel() > 1
    last = [(bound, step) for bound, step in steps if step is not None][-4:]
    assert len(last) == 4
    for bound, step in last:
        torch.testing.assert_close(step, bound / 4)
        assert bound.unique().numel() > 1


def test_clean_weight_ball_and_step_follow_the_class_and_the_kl_term_does_not(learner):
    dafa = METHODS["dafa"]().build(learner)
    dafa.warmed.weights = torch.tensor([1.36, 0.68, 0.96])
    batch = Batch(torch.rand(3, 1, 4, 4), torch.arange(3), torch.arange(3))
    given_ = dafa.assign(batch, None)
    torch.testing.assert_close(given_.clean, dafa.warmed.weights)
    torch.testing.assert_close(given_.adversary, torch.full((3,), 6.0))
    torch.testing.assert_close(given_.bound, 0.1 * dafa.warmed.weights)
    torch.testing.assert_close(given_.step, 0.025 * dafa.warmed.weights)
