import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.attacks.base import Conditions
from engine.evaluation.card import Subject
from engine.evaluation.released import card_as_released, examine_as_released
from engine.models.classifier import Classifier
from engine.perturbation.threat import ThreatConfig
from engine.seeds import torch_stream
from engine.types import ImageSet

MEAN, STD = 0.3, 0.4
CPU = torch.device("cpu")


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    pixels = rng.integers(0, 256, (200, 1, 4, 4), dtype=np.uint8)
    return ImageSet(pixels, labels, labels, np.arange(200))


@pytest.fixture
def model():
    torch.manual_seed(1)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 3))
    nn.init.zeros_(backbone[-1].bias)
    return Classifier(backbone, torch.tensor([MEAN]), torch.tensor([STD]))


def released_attack(backbone, x, y, noise):
    """The released evaluation, written down from its description alone: x is normalised."""
    first = (x + noise).clamp(0, 1)
    x_adv = first
    for _ in range(20):
        x_adv = x_adv.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(backbone(x_adv), y), x_adv)
        moved = x_adv.detach() + 2 / 255 * gradient.sign()
        x_adv = (x + (moved - x).clamp(-8 / 255, 8 / 255)).clamp(0, 1)
    return x_adv


def test_the_outcomes_are_those_of_the_released_procedure(model, images):
    found = examine_as_released(model, images, Conditions(5, 200), device=CPU)
    x = (torch.from_numpy(images.images).float() / 255 - MEAN) / STD
    y = torch.from_numpy(images.labels)
    rng = torch_stream(5, "released attack", 0)
    noise = 8 / 255 * torch.empty_like(x).uniform_(-1, 1, generator=rng)
    adversaries = released_attack(model.backbone, x, y, noise)
    assert found.clean.tolist() == model.backbone(x).argmax(dim=1).tolist()
    assert found.attacked.tolist() == model.backbone(adversaries).argmax(dim=1).tolist()
    assert (found.attacked != found.clean).sum() > 20


def test_its_clip_alone_changes_predictions_and_may_mend_mistakes(model, images):
    found = examine_as_released(model, images, Conditions(5, 200), device=CPU)
    mended = (found.clean != found.label) & (found.attacked == found.label)
    assert mended.any()  # the clip moves a pixel further than the radius


def test_a_clean_prediction_is_that_of_the_whole_image(model, images):
    found = examine_as_released(model, images, Conditions(5, 7), device=CPU)
    x = torch.from_numpy(images.images).float() / 255
    assert found.clean.tolist() == model(x).argmax(dim=1).tolist()


def test_its_card_says_plainly_that_its_radius_is_not_in_pixels(model, images):
    subject = Subject(images, 3, "test", 200, "last epoch", ThreatConfig(), "caat")
    card = card_as_released(model, subject, Conditions(0, 200), n=200)
    assert card.label == "PGD-20 as released"
    assert card.space.startswith("normalised tensors: radius, step and clip to [0, 1] apply to")
    assert "in pixels the radius is 3.20/255" in card.space  # 8 times the std of 0.4
