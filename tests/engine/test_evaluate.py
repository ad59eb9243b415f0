import numpy as np
import pytest
import torch
from torch import nn

from engine.evaluate import (
    Evaluation,
    EvaluationConfig,
    PgdAttack,
    attack_of,
    count_by_class,
    examine,
)
from engine.perturb import ThreatConfig
from engine.types import ImageSet


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (50, 1, 4, 4), dtype=np.uint8)
    labels = rng.integers(0, 3, 50)
    return ImageSet(pixels, labels, labels, np.arange(50))


@pytest.fixture
def model(conv_net, images):
    """A model that is right on about two thirds of the images."""
    x, y = torch.from_numpy(images.images).float() / 255, torch.from_numpy(images.labels)
    optimizer = torch.optim.Adam(conv_net.parameters(), lr=0.02)
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(conv_net(x), y).backward()
        optimizer.step()
    return conv_net.train()


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_counts_are_those_of_a_loop_over_single_images(model, images):
    attack = PgdAttack(epsilon=0.03, step_size=0.01, num_steps=5)
    found = examine(model, images, attack, batch_size=50, rng=stream())
    counted = count_by_class(found, 3)

    model.eval()
    count, natural, boundary = np.zeros((3, 3), dtype=int)
    x = torch.from_numpy(images.images).float() / 255
    y = torch.from_numpy(images.labels)
    right = [i for i in range(50) if model(x[i : i + 1]).argmax().item() == y[i].item()]
    x_adv = attack(model, x[right], y[right], stream())
    for i in range(50):
        label = int(y[i])
        count[label] += 1
        if i not in right:
            natural[label] += 1
        else:
            row = right.index(i)
            boundary[label] += model(x_adv[row : row + 1]).argmax().item() != label
    assert counted.count.tolist() == count.tolist()
    assert counted.natural.tolist() == natural.tolist()
    assert counted.boundary.tolist() == boundary.tolist()
    assert 0 < natural.sum() < 50
    assert 0 < boundary.sum() < len(right)
    assert np.array_equal(counted.robust, counted.natural + counted.boundary)


def test_a_robust_error_is_a_natural_or_a_boundary_error_and_never_both():
    result = Evaluation(np.array([5, 5]), np.array([1, 0]), np.array([2, 3]))
    assert result.robust.tolist() == [3, 3]
    assert {name: counts.tolist() for name, counts in result.errors().items()} == {
        "natural_error": [1, 0],
        "boundary_error": [2, 3],
        "robust_error": [3, 3],
    }


def test_only_images_that_are_right_are_attacked(model, images):
    class Kind:
        """Hands the images back; what it is given is right already."""

        def __call__(self, model, x, y, rng):
            seen.append((x, y))
            return x

    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    found = examine(model, images, Kind(), batch_size=20, rng=stream())
    assert np.array_equal(found.natural, found.robust)
    assert sum(len(y) for _, y in seen) == 50 - found.natural.sum()
    model.eval()
    assert all((model(x).argmax(dim=1) == y).all() for x, y in seen)


def test_a_ball_of_radius_zero_has_no_boundary_error(model, images):
    attack = PgdAttack(epsilon=0.0, step_size=0.01, num_steps=3)
    found = examine(model, images, attack, batch_size=16, rng=stream())
    assert count_by_class(found, 3).boundary.sum() == 0
    assert found.natural.sum() > 0


def test_a_model_that_is_always_wrong_is_never_attacked(images):
    class Wrong(nn.Module):
        def forward(self, x):
            return torch.eye(4)[torch.full((len(x),), 3)]

    def fail(*_):
        raise AssertionError

    found = examine(Wrong(), images, fail, batch_size=7, rng=stream())
    assert found.natural.all()
    assert found.robust.all()


@pytest.mark.parametrize("training", [True, False])
def test_looking_leaves_the_model_as_it_was(model, images, training):
    model.train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    examine(model, images, PgdAttack(0.1, 0.05, 2), batch_size=16, rng=stream())
    assert all(module.training == training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_model_goes_back_to_training_when_someone_stops_it(model, images):
    def stop():
        raise KeyboardInterrupt

    attack = PgdAttack(0.1, 0.05, 2)
    with pytest.raises(KeyboardInterrupt):
        examine(model, images, attack, batch_size=16, rng=stream(), check=stop)
    assert model.training


def test_a_class_without_images_counts_nothing(model, images):
    found = examine(model, images, PgdAttack(0.0, 0.1, 1), batch_size=50, rng=stream())
    assert count_by_class(found, 5).count[3:].tolist() == [0, 0]


def test_the_attack_is_the_threat_models_unless_the_evaluation_says_otherwise():
    threat = ThreatConfig(epsilon=0.2, step_size=0.19, num_steps=99)
    plain = EvaluationConfig(num_steps=20, val_num_steps=7)
    assert attack_of(plain, threat, split="test") == PgdAttack(0.2, 0.05, 20)
    assert attack_of(plain, threat, split="validation") == PgdAttack(0.2, 0.05, 7)
    own = EvaluationConfig(epsilon=0.4, step_size=0.01)
    assert attack_of(own, threat, split="test") == PgdAttack(0.4, 0.01, 20)


def test_an_outcome_keeps_the_classes_that_were_predicted(model, images):
    found = examine(model, images, PgdAttack(0.03, 0.01, 5), batch_size=50, rng=stream())
    model.eval()
    x = torch.from_numpy(images.images).float() / 255
    assert found.label.tolist() == images.labels.tolist()
    assert found.clean.tolist() == model(x).argmax(dim=1).tolist()
    assert np.array_equal(found.attacked[found.natural], found.clean[found.natural])
    fooled = found.robust & ~found.natural
    assert fooled.any()
    assert (found.attacked[fooled] != found.label[fooled]).all()
