"""What the weighting network reads beside six characteristics, and what it says beside alpha."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.meta.characteristics import NAMES, standardised
from engine.meta.inputs import ClassMoments, Influence
from engine.meta.networks import WeightingNetwork
from engine.meta.virtual_step import prediction_with
from engine.methods.base import METHODS
from engine.objective import per_sample_losses


def build(learner, **fields):
    method = METHODS["caat"](meta_batch_size=12, **fields).build(learner)
    method.start_epoch(1, None)
    return method


# -- within the class


def test_inputs_are_deviations_from_the_class_in_the_epoch_before():
    rng = np.random.default_rng(0)
    moments = ClassMoments(3, 6, torch.device("cpu"))
    moments.start_epoch()
    tables = [rng.normal(1.0, 2.0, (8, 6)).astype(np.float32) for _ in range(4)]
    labels = [rng.integers(0, 2, 8) for _ in range(4)]  # no sample of class 2
    for table, y in zip(tables, labels, strict=True):
        moments.add(torch.from_numpy(table), torch.from_numpy(y))
    moments.start_epoch()
    together, of = np.concatenate(tables), np.concatenate(labels)
    now, y = rng.normal(size=(5, 6)).astype(np.float32), np.array([0, 1, 1, 2, 2])
    found = moments.relative(torch.from_numpy(now), torch.from_numpy(y)).numpy()
    expected = standardised(torch.from_numpy(now)).numpy()
    for c in (0, 1):
        mine = together[of == c]
        deviation = np.sqrt(mine.var(axis=0) + 1e-5)
        expected[y == c] = (now[y == c] - mine.mean(axis=0)) / deviation
    shared = [NAMES.index(name) for name in ("class_loss", "class_proportion")]
    expected[:, shared] = 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_class_that_an_epoch_lacks_keeps_what_was_known_of_it():
    moments = ClassMoments(2, 6, torch.device("cpu"))
    moments.start_epoch()
    moments.add(torch.arange(12.0).reshape(2, 6), torch.tensor([1, 1]))
    moments.start_epoch()
    before = moments.mean.clone()
    moments.add(torch.ones(2, 6), torch.tensor([0, 0]))
    moments.start_epoch()
    torch.testing.assert_close(moments.mean[1], before[1])
    torch.testing.assert_close(moments.mean[0], torch.ones(6))


def test_what_all_samples_of_a_class_share_is_hidden_from_a_network_that_ranks_within(
    learner, batch, traits_of
):
    caat = build(learner, crowd="class")
    traits = traits_of(learner, batch)
    other = replace(traits, class_loss=traits.class_loss + batch.y, class_proportion=-traits.loss)
    torch.testing.assert_close(
        caat.assign(batch, traits).weights, caat.assign(batch, other).weights
    )


def test_a_class_whose_samples_all_help_alike_says_nothing_of_any_of_them(learner, batch, step_of):
    caat = build(learner, crowd="class", influence=True)
    step = step_of(caat, learner, batch)
    caat.inputs.influence.total += batch_of_classes(learner, batch)
    caat.inputs.influence.looks += 1
    caat.inputs.look(step.characteristics, batch)
    caat.inputs.start_epoch()
    column = caat.inputs.table(step.characteristics, batch)[:, 6]
    torch.testing.assert_close(column, torch.zeros(len(batch)), atol=1e-3, rtol=0)


def batch_of_classes(learner, batch):
    """Return an influence of every training sample that is its class's number, of this batch."""
    number = torch.zeros(int(learner.class_counts.sum()))
    number[batch.index] = batch.y.float()
    return number


# -- influence


def test_influence_is_the_mean_fall_of_the_meta_loss_in_units_of_each_batch():
    influence = Influence(6, torch.device("cpu"))
    looks = {index: [] for index in range(6)}
    rng = np.random.default_rng(1)
    for _ in range(5):
        index = rng.permutation(6)[:4]
        gradient, weights = rng.normal(size=(2, 4, 3)).astype(np.float32)
        fall = -(gradient * weights).sum(axis=1)
        for place, value in zip(index, fall / np.sqrt((fall**2).mean()), strict=True):
            looks[int(place)].append(value)
        influence.add(torch.tensor(index), torch.tensor(gradient), torch.tensor(weights))
    expected = [np.mean(values) if values else 0.0 for values in looks.values()]
    np.testing.assert_allclose(influence.of(torch.arange(6)), expected, rtol=1e-5)


def test_influence_is_what_more_of_a_sample_takes_from_the_meta_loss(learner, batch, step_of):
    """By finite differences: the model steps with and without a little more of one sample."""
    learner.model.double()
    caat = build(learner, influence=True, meta_num_steps=2)
    caat.network.double()
    double = replace(batch, x=batch.x.double())
    caat.meta.images = replace(learner.meta, x=learner.meta.x.double())
    step = step_of(caat, learner, double)
    _, weights = caat._weights(double, step.characteristics)
    learner.attack.rng.manual_seed(3)
    caat.meta.start_epoch(1)
    caat.learn(step)
    found = caat.inputs.influence.of(batch.index)

    learner.attack.rng.manual_seed(3)
    caat.meta.start_epoch(1)
    meta_loss = caat._meta_loss(caat.meta.batch())
    parameters = dict(learner.model.named_parameters())
    rate = learner.optimizer.param_groups[0]["lr"]

    def after(more):
        predict = prediction_with(learner.model, parameters, train=True)
        losses = per_sample_losses(predict, double, step.copies, objective=caat.objective)
        total = ((weights.detach() * (1 + more)[:, None]) * losses).sum(dim=1).mean()
        gradients = torch.autograd.grad(total, list(parameters.values()))
        landed = {
            name: parameter - rate * gradient
            for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
        }
        return meta_loss(landed).item()

    nudges = 1e-4 * torch.eye(len(batch), dtype=torch.float64)
    falls = torch.tensor([after(-nudge) - after(nudge) for nudge in nudges])
    expected = falls / falls.square().mean().sqrt()
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-3, atol=1e-4)


def test_the_network_reads_the_influence_of_each_sample(learner, batch, traits_of):
    caat = build(learner, influence=True)
    traits = traits_of(learner, batch)
    before = caat.assign(batch, traits).weights
    caat.inputs.influence.add(batch.index, torch.randn(len(batch), 3), torch.ones(len(batch), 3))
    assert not torch.equal(before, caat.assign(batch, traits).weights)


# -- strength


def test_at_first_every_sample_has_the_same_strength(learner, batch, traits_of):
    traits = traits_of(learner, batch)
    network = WeightingNetwork(8, 1.0, strength=True)
    _, strength = network.read(standardised(traits.table()))
    assert torch.equal(strength, torch.ones(len(batch)))


def test_strength_scales_a_samples_three_weights_together_and_their_mean_stays(
    learner, batch, traits_of
):
    caat = build(learner, strength=True, prices="none", normalise=False, beta=2.0, bounds="fixed")
    with torch.no_grad():
        caat.network.last.weight[2].normal_()
    traits = traits_of(learner, batch)
    given = caat.assign(batch, traits)
    shares, strength = caat.network.read(standardised(traits.table()))
    relative = strength / strength.mean()
    torch.testing.assert_close(given.clean, shares[:, 0] * relative)
    torch.testing.assert_close(given.adversary, 2.0 * shares[:, 0] * relative)
    torch.testing.assert_close(given.anti_adversary, shares[:, 1] * relative)
    assert (given.clean + given.anti_adversary).mean().item() == pytest.approx(1.0)


def test_a_batch_that_is_trusted_with_nothing_weighs_nothing_and_is_no_nan(
    learner, batch, traits_of
):
    caat = build(learner, strength=True)
    with torch.no_grad():
        caat.network.last.bias[2] = -1000.0
    weights = caat.assign(batch, traits_of(learner, batch)).weights
    assert torch.equal(weights, torch.zeros_like(weights))


def test_with_strength_wrong_labels_are_told_by_a_samples_weight_and_not_by_its_side(learner):
    assert build(learner, strength=True).told_by == "clean_weight"
    assert build(learner).told_by == "anti_adversary_weight"
    assert METHODS["trades"]().build(learner).told_by == "clean_weight"


def test_strength_learns_from_the_meta_loss(learner, batch, step_of):
    caat = build(learner, strength=True)
    row = caat.network.last.weight[2].clone()
    caat.learn(step_of(caat, learner, batch))
    assert not torch.equal(row, caat.network.last.weight[2])
