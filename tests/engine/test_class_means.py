"""Class means of held-out data, and how they are shrunk, by plain loops and by simulation."""

import math
from statistics import fmean, variance

import pytest
import torch

from engine.evaluation.class_errors import ClassErrors
from engine.meta.class_means import class_means, shrunk, shrunk_errors
from engine.types import DeviceImages


def images_of(labels):
    return DeviceImages(torch.zeros(len(labels), 1, 2, 2).byte(), torch.tensor(labels))


def pulled(means, counts, spread):
    """Write the empirical Bayes estimate out."""
    centre = fmean(means)
    sampling = [spread / n for n in counts]
    between = max(0.0, variance(means) - fmean(sampling))
    return [
        centre + between / (between + v) * (x - centre)
        for x, v in zip(means, sampling, strict=True)
    ]


@pytest.mark.parametrize("at_a_time", [256, 3])
@pytest.mark.parametrize("shrink", [False, True])
def test_a_class_mean_is_that_of_its_own_samples(shrink, at_a_time, monkeypatch):
    monkeypatch.setattr("engine.meta.class_means.AT_A_TIME", at_a_time)
    labels = [0, 1, 2, 0, 1, 2, 2, 2]
    values = [1.0, 5.0, 2.0, 2.0, 9.0, 2.5, 1.5, 1.0]
    told = torch.tensor(values)
    found = class_means(lambda batch: told[batch.index], images_of(labels), 3, shrink=shrink)
    own = [[v for v, y in zip(values, labels, strict=True) if y == k] for k in range(3)]
    means = [fmean(each) for each in own]
    if shrink:
        within = sum((v - m) ** 2 for each, m in zip(own, means, strict=True) for v in each)
        means = pulled(means, [2, 2, 4], within / (8 - 3))
    assert found.tolist() == pytest.approx([*means, fmean(values)])


def test_errors_are_shrunk_by_their_binomial_variance():
    natural, boundary, n = [0.6, 0.1, 0.2, 0.0], [0.1, 0.1, 0.4, 0.2], [10, 10, 20, 5]
    found = shrunk_errors(
        ClassErrors(torch.tensor(natural), torch.tensor(boundary)), torch.tensor(n)
    )
    for own, shares in ((found.natural, natural), (found.boundary, boundary)):
        centre = fmean(shares)
        assert own.tolist() == pytest.approx(pulled(shares, n, centre * (1 - centre)), abs=1e-6)
    assert found.natural[3] > 0  # five images without a mistake do not show that there is none


def test_with_many_images_nothing_is_shrunk_and_with_differences_of_chance_everything_is():
    means = torch.tensor([0.2, 0.5, 0.3])
    many = shrunk(means, torch.full((3,), 10**7), torch.tensor(0.2))
    torch.testing.assert_close(many, means, rtol=1e-5, atol=0)
    few = shrunk(means, torch.full((3,), 2), torch.tensor(0.2))
    torch.testing.assert_close(few, torch.full((3,), 1 / 3))


def test_equal_counts_keep_the_mean_and_the_order_of_the_classes():
    means = torch.tensor([0.9, 0.1, 0.3, 0.35])
    found = shrunk(means, torch.full((4,), 10), torch.tensor(0.2))
    torch.testing.assert_close(found.mean(), means.mean())
    assert found.argsort().tolist() == means.argsort().tolist()
    assert found.var() < means.var()


@pytest.mark.parametrize("means", [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.25, 0.25, 0.25]])
def test_classes_that_are_alike_stay_as_they_are(means):
    errors = ClassErrors(torch.tensor(means), torch.zeros(3))
    found = shrunk_errors(errors, torch.full((3,), 5))
    assert torch.equal(found.natural, errors.natural)
    assert torch.equal(found.boundary, errors.boundary)


def test_a_class_without_images_gets_the_mean_and_a_lone_one_keeps_its_own():
    means = torch.tensor([0.9, 0.1, 0.0])
    found = shrunk(means, torch.tensor([50, 50, 0]), torch.tensor(0.25))
    assert found[2].item() == pytest.approx(0.5)
    assert 0.5 < found[0] < 0.9
    alone = shrunk(torch.tensor([0.9]), torch.tensor([5]), torch.tensor(0.25))
    assert alone.tolist() == pytest.approx([0.9])


def test_losses_without_a_spread_are_known_exactly():
    labels = [0, 0, 1, 1]
    found = class_means(lambda batch: 1.0 + batch.y, images_of(labels), 2, shrink=True)
    assert found.tolist() == [1.0, 2.0, 1.5]


def test_shrinking_lowers_the_squared_error_of_ten_classes_with_twenty_images():
    """Efron and Morris: the sum over classes is nearer to the truth, whatever the truth is."""
    rng = torch.Generator().manual_seed(0)
    for low, high in ((0.3, 0.5), (0.1, 0.9)):
        truth = torch.linspace(low, high, 10)
        plain = better = 0.0
        for _ in range(400):
            found = torch.bernoulli(truth.expand(20, 10), generator=rng).mean(dim=0)
            said = shrunk_errors(ClassErrors(found, torch.zeros(10)), torch.full((10,), 20))
            plain += (found - truth).square().sum().item()
            better += (said.natural - truth).square().sum().item()
        assert better < 0.99 * plain
        assert math.isfinite(better)
