import numpy as np
import pytest
import torch
from torch import nn

from engine.attacks.base import Conditions
from engine.attacks.pgd import Pgd
from engine.evaluation.evaluate import (
    Evaluation,
    EvaluationConfig,
    attack_of,
    count_by_class,
    examine,
)
from engine.models.modes import channels_last
from engine.perturbation.threat import ThreatConfig
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


def look(model, images, attack, batch_size=16, seed=0, check=lambda: None):
    conditions = Conditions(seed, batch_size, check)
    return examine(model, images, attack, conditions=conditions, device=torch.device("cpu"))


class Fixed:
    """An attack that makes the model see what it is told."""

    def __init__(self, seen):
        self.seen = seen

    def attacked(self, model, images, clean, *, conditions):
        return self.seen


def test_the_counts_are_those_of_a_loop_over_single_images(model, images):
    seen = torch.from_numpy(np.random.default_rng(1).integers(0, 3, 50))
    counted = count_by_class(look(model, images, Fixed(seen)), 3)

    model.eval()
    count, natural, boundary = np.zeros((3, 3), dtype=int)
    x = torch.from_numpy(images.images).float() / 255
    for i in range(50):
        label = int(images.labels[i])
        count[label] += 1
        if model(x[i : i + 1]).argmax().item() != label:
            natural[label] += 1
        else:
            boundary[label] += seen[i].item() != label
    assert counted.count.tolist() == count.tolist()
    assert counted.natural.tolist() == natural.tolist()
    assert counted.boundary.tolist() == boundary.tolist()
    assert 0 < natural.sum() < 50
    assert 0 < boundary.sum() < 50 - natural.sum()
    assert np.array_equal(counted.robust, counted.natural + counted.boundary)


def test_a_robust_error_is_a_natural_or_a_boundary_error_and_never_both():
    result = Evaluation(np.array([5, 5]), np.array([1, 0]), np.array([2, 3]))
    assert result.robust.tolist() == [3, 3]
    assert {name: counts.tolist() for name, counts in result.errors().items()} == {
        "natural_error": [1, 0],
        "boundary_error": [2, 3],
        "robust_error": [3, 3],
    }


def test_an_attack_never_mends_an_image_that_is_wrong(model, images):
    found = look(model, images, Fixed(torch.from_numpy(images.labels)))
    assert found.natural.any()
    assert np.array_equal(found.natural, found.robust)


def test_a_ball_of_radius_zero_has_no_boundary_error(model, images):
    found = look(model, images, Pgd(epsilon=0.0, step_size=0.01, num_steps=3))
    assert count_by_class(found, 3).boundary.sum() == 0
    assert found.natural.sum() > 0


def test_a_model_that_is_always_wrong_is_never_attacked(images):
    class Wrong(nn.Module):
        def forward(self, x):
            return torch.eye(4)[torch.full((len(x),), 3)]

    found = look(Wrong(), images, Fixed(None), batch_size=7)
    assert found.natural.all()
    assert found.robust.all()


def test_a_model_that_does_not_stay_in_eval_mode_is_not_measured(images):
    class Stubborn(nn.Module):
        def train(self, mode=True):
            return super().train(True)

    with pytest.raises(AssertionError):
        look(Stubborn(), images, Fixed(None))


@pytest.mark.parametrize("training", [True, False])
def test_looking_leaves_the_model_as_it_was(model, images, training):
    model.train(training).zero_grad()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    look(model, images, Pgd(epsilon=0.1, num_steps=2))
    assert all(module.training == training for module in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_layout_of_weights_is_put_back_with_the_values_in_it():
    convolution, x = nn.Conv2d(3, 4, 3), torch.rand(2, 3, 8, 8)
    weight, before = convolution.weight.clone(), convolution(x)
    with channels_last(convolution):
        assert not convolution.weight.is_contiguous()
        torch.testing.assert_close(convolution(x), before)
    assert convolution.weight.is_contiguous()
    assert torch.equal(convolution.weight, weight)


def test_the_model_goes_back_to_training_when_someone_stops_it(model, images):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look(model, images, Pgd(epsilon=0.1, num_steps=2), check=stop)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())


def test_a_class_without_images_counts_nothing(model, images):
    found = look(model, images, Pgd(epsilon=0.0, num_steps=1))
    assert count_by_class(found, 5).count[3:].tolist() == [0, 0]


def test_the_attack_is_the_threat_models_unless_the_evaluation_says_otherwise():
    threat = ThreatConfig(norm="l2", epsilon=0.2, step_size=0.19, num_steps=99)
    plain = EvaluationConfig(num_steps=20, val_num_steps=7, restarts=3)
    test = attack_of(plain, threat, split="test")
    assert test == Pgd(norm="l2", epsilon=0.2, num_steps=20, restarts=3)
    assert test.step == pytest.approx(0.05)
    validation = attack_of(plain, threat, split="validation")
    assert validation == Pgd(norm="l2", epsilon=0.2, num_steps=7, restarts=1)
    own = attack_of(EvaluationConfig(epsilon=0.4, step_size=0.01), threat, split="test")
    assert (own.epsilon, own.step) == (0.4, 0.01)


def test_an_outcome_keeps_the_classes_that_were_predicted(model, images):
    found = look(model, images, Pgd(epsilon=0.03, step_size=0.01, num_steps=5))
    model.eval()
    x = torch.from_numpy(images.images).float() / 255
    assert found.label.tolist() == images.labels.tolist()
    assert found.clean.tolist() == model(x).argmax(dim=1).tolist()
    assert np.array_equal(found.attacked[found.natural], found.clean[found.natural])
    fooled = found.robust & ~found.natural
    assert fooled.any()
    assert (found.attacked[fooled] != found.label[fooled]).all()


def test_the_validation_has_a_step_of_its_own_only_where_it_is_given_one():
    threat = ThreatConfig(epsilon=0.2, step_size=0.19)
    config = EvaluationConfig(step_size=0.02, val_step_size=0.03, restarts=4)
    steps = {split: attack_of(config, threat, split=split).step for split in ("test", "validation")}
    assert steps == {"test": 0.02, "validation": 0.03}
    same = EvaluationConfig(step_size=0.02)
    assert attack_of(same, threat, split="validation").step == 0.02
    only = EvaluationConfig(val_step_size=0.03)
    assert attack_of(only, threat, split="test").step == pytest.approx(0.05)


def test_an_epoch_is_scored_by_robust_and_never_by_natural_or_boundary_errors():
    found = Evaluation(np.array([10, 40]), np.array([5, 0]), np.array([0, 24]))
    # robust: 5 of 10 and 24 of 40; natural alone would be 2 - 0.1 - 0.5
    assert found.robust_score() == pytest.approx(2 - 29 / 50 - 24 / 40)


def test_outcomes_stand_beside_the_images_that_they_are_of(model, images):
    some = images.take(np.array([41, 3, 17]))
    columns = look(model, some, Fixed(torch.tensor([2, 1, 0]))).columns(some)
    assert list(columns) == ["sample", "label", "clean", "attacked"]
    assert columns["sample"].tolist() == [41, 3, 17]
    assert columns["label"].tolist() == images.labels[[41, 3, 17]].tolist()


def test_someone_is_asked_before_every_batch_of_the_clean_look(model, images):
    asked = []
    look(model, images, Fixed(torch.zeros(50, dtype=torch.int64)), 7, check=lambda: asked.append(1))
    assert len(asked) == 8
