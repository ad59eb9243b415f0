"""OAT: what its oracle believes and learns, and the loss that the model is trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from engine.meta.oracle import Oracle
from engine.methods.base import METHODS
from engine.objective import logits_of, losses_of
from engine.seeds import initialising
from engine.types import Batch, Copies, DeviceImages


def oracle_of(images, labels, num_classes, **settings):
    with initialising(0, "like"):
        size = images[0].numel()
        like = nn.Sequential(nn.Flatten(), nn.Linear(size, 32), nn.ReLU(), nn.Linear(32, 10))
        like[-1] = nn.Linear(32, num_classes)
    chosen = {"sure": 0.8, "neighbours": 5, "lr": 0.1, "batch_size": 32, **settings}
    return Oracle(
        like,
        DeviceImages(images, labels),
        num_classes=num_classes,
        seed=3,
        momentum=0.9,
        weight_decay=0.0,
        **chosen,
    )


@pytest.fixture
def crowd():
    rng = torch.Generator().manual_seed(4)
    images = torch.randint(256, (40, 1, 8, 8), generator=rng, dtype=torch.uint8)
    return images, torch.randint(3, (40,), generator=rng)


@pytest.mark.parametrize("sure", [0.3, 0.36, 0.99])
def test_a_label_is_replaced_where_the_oracle_is_sure_of_its_own(crowd, sure):
    oracle = oracle_of(*crowd, 3, sure=sure)
    p = oracle.probabilities(crowd[0].float() / 255)
    believed = oracle.believe().labels
    for i in range(40):
        expected = p[i].argmax() if p[i].max() > sure else crowd[1][i]
        assert believed[i] == expected


def test_an_image_is_selected_if_its_label_wins_the_vote_of_its_neighbours_over_class_shares(crowd):
    oracle = oracle_of(*crowd, 3, sure=1.0, neighbours=7)
    with torch.no_grad():
        oracle.network.eval()
        features = oracle.network["encoder"](crowd[0].float() / 255).numpy()
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels, expected = crowd[1].numpy(), []
    for i in range(40):
        nearest = np.argsort(-(features @ features[i]), kind="stable")[:7]
        votes = [np.mean(labels[nearest] == c) / np.mean(labels == c) for c in range(3)]
        if votes[labels[i]] >= max(votes) - 1e-6:
            expected.append(i)
    assert oracle.believe().selected.tolist() == expected
    assert 0 < len(expected) < 40


def test_more_neighbours_than_images_are_all_images(crowd):
    oracle = oracle_of(*crowd, 3, neighbours=10_000, sure=1.0)
    counts = torch.bincount(crowd[1], minlength=3)
    assert (counts > 0).all()
    assert len(oracle.believe().selected) == 40  # every class has its share of the votes


def test_the_oracle_learns_labels_that_are_truer_than_the_given_ones():
    """Of images that are as bright as their class, a quarter of whose labels are the next one."""
    rng = torch.Generator().manual_seed(0)
    truth = torch.arange(300) % 3
    images = 40 + 80 * truth[:, None, None, None] + 20 * torch.randn(300, 1, 8, 8, generator=rng)
    images = images.clamp(0, 255).to(torch.uint8)
    wrong = torch.rand(300, generator=rng) < 0.25
    given = torch.where(wrong, (truth + 1) % 3, truth)
    oracle = oracle_of(images, given, 3, neighbours=20)
    for epoch in range(1, 11):
        believed = oracle.train_epoch(epoch)
    assert (given == truth).float().mean() < 0.8
    picked = believed.selected
    assert len(picked) > 150
    assert (believed.labels[picked] == truth[picked]).float().mean() > 0.97
    said = oracle.probabilities(images.float() / 255).argmax(dim=1)
    assert (said == truth).float().mean() > 0.97
    assert oracle.class_counts().tolist() == torch.bincount(said, minlength=3).tolist()


def test_an_oracle_that_goes_on_from_its_state_is_the_same_oracle(crowd):
    oracle, other = oracle_of(*crowd, 3), oracle_of(*crowd, 3)
    oracle.train_epoch(1)
    other.load_state({name: value.clone() for name, value in oracle.state().items()})
    for each in (oracle, other):
        each.train_epoch(2)
    for name, value in oracle.state().items():
        assert torch.equal(value, other.state()[name]), name


def test_layers_of_the_oracle_are_its_own_and_not_the_models(learner):
    oat = METHODS["oat"]().build(learner)
    held = [parameter.data_ptr() for parameter in oat.oracle.network.parameters()]
    assert not {p.data_ptr() for p in learner.model.parameters()} & set(held)
    ours = oat.oracle.network["classifier"].weight
    assert not any(torch.equal(ours, p) for p in learner.model.parameters())


@pytest.mark.parametrize("balance", [True, False])
def test_the_loss_is_the_oracles_prediction_against_the_models_with_its_class_counts(
    learner, batch, balance
):
    oat = METHODS["oat"](balance=balance, neighbours=4).build(learner)
    oat.start_epoch(1, None)
    seen = oat.relabelled(batch)
    soft = oat.oracle.probabilities(batch.x)
    torch.testing.assert_close(seen.soft, soft)
    assert torch.equal(seen.y, soft.argmax(dim=1))
    said = torch.cat([p.argmax(dim=1) for _, p in oat.oracle._features()])
    counts = torch.tensor([(said == c).sum() for c in range(3)])
    shift = (counts + 1.0).log() if balance else torch.zeros(3)
    copies = Copies(batch.x + 0.05, None)
    learner.model.eval()
    logits = logits_of(oat.view(learner.model), seen, copies, objective=oat.objective)
    found = losses_of(logits, seen.target, oat.objective)[:, 1]
    log_q = (learner.model(batch.x + 0.05) + shift).log_softmax(dim=1)
    torch.testing.assert_close(found, -(soft * log_q).sum(dim=1))
    climbed = oat.objective.attack_shift
    assert climbed is None if not balance else torch.equal(climbed, shift)
    given = oat.assign(seen, None)
    assert torch.equal(given.weights, torch.tensor([[0.0, 1.0, 0.0]]).repeat(len(batch), 1))


def test_a_batch_without_a_distribution_is_taken_against_its_labels(batch):
    assert batch.target is batch.y
    soft = torch.ones(len(batch), 3) / 3
    assert replace(batch, soft=soft).target is soft
    assert Batch(batch.x, batch.y, batch.index).soft is None
