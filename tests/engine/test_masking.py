import numpy as np
import pytest
import torch
from torch import nn

from engine.evaluation.card import Subject
from engine.evaluation.evaluate import Outcomes
from engine.evaluation.masking import MaskingConfig, masking_checks, white_box
from engine.evaluation.suite import SampleConfig, Suite
from engine.perturbation.threat import ThreatConfig

QUICK = MaskingConfig(num_steps=20, num_queries=300, num_starts=3)
THREATS = {
    "linf": ThreatConfig(norm="linf", epsilon=0.15),
    "l2": ThreatConfig(norm="l2", epsilon=0.6),
}


class Masked(nn.Module):
    """Logits times 10,000: the softmax is 0 or 1 in float32, and its gradient exactly zero."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return 1e4 * self.model(x)


def findings(model, digits, threat, config=QUICK, **sample):
    subject = Subject(digits, 10, "test", len(digits), "last epoch", threat, "pgd-at")
    suite = Suite(model.eval(), subject, SampleConfig(**sample), torch.device("cpu"))
    return masking_checks(suite, threat, config)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_honestly_trained_model_passes_every_check(norm, robust_model, digits):
    found = findings(robust_model, digits, THREATS[norm], subset=150)
    assert [finding.reason for finding in found if not finding.passed] == []
    assert len(found) == 4


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_model_that_hides_its_gradients_fails(norm, robust_model, digits):
    masked = findings(Masked(robust_model), digits, THREATS[norm], subset=150)
    honest = findings(robust_model, digits, THREATS[norm], subset=150)
    failed = {finding.name for finding in masked if not finding.passed}
    assert failed >= {
        "accuracy falls to about zero as the radius grows",
        "a black-box attack is not stronger than a white-box one",
    }
    # It is not more robust: the black box finds as much, and so the gradients are what fails.
    black, white = (masked[2].figures[name][0] for name in ("black_box", "white_box"))
    assert black == pytest.approx(honest[2].figures["black_box"][0], abs=0.02)
    assert white > black + 0.1


def test_a_reason_is_one_sentence_with_its_figures(robust_model, digits):
    for finding in findings(robust_model, digits, THREATS["linf"], subset=20):
        assert finding.reason.endswith(".")
        assert "\n" not in finding.reason
        lengths = {len(values) for values in finding.figures.values()}
        assert len(lengths) == 1
        accuracies = [v for k, v in finding.figures.items() if k not in ("epsilon", "num_steps")]
        assert all(0 <= value <= 1 for values in accuracies for value in values)


def test_checks_depend_on_the_seed_alone(robust_model, digits):
    first, again = (findings(robust_model, digits, THREATS["linf"], subset=20) for _ in range(2))
    assert first == again


class Constant(nn.Module):
    """A model that always sees a zero."""

    def forward(self, x):
        return torch.eye(10)[torch.zeros(len(x), dtype=torch.int64)] + 0 * x.sum()


def test_a_model_that_no_attack_moves_does_not_reach_zero(digits):
    zeros = digits.take(np.flatnonzero(digits.labels == 0))
    falls = findings(Constant(), zeros, THREATS["linf"])[0]
    assert falls.figures == {"epsilon": [0, 0.075, 0.15, 0.3, 0.5], "accuracy": [1.0] * 5}
    assert not falls.passed


# -- where each check draws its line, on accuracies that are written here


@pytest.fixture
def judged(digits, monkeypatch):
    """Make the checks on a model that is right as often as is told of each attack and seed."""

    def judge(accuracy, num_images=100, threat=THREATS["linf"], **config):
        asked = []

        def examined(model, images, attack, conditions, device):
            asked.append((attack, conditions.seed, images.source.tolist()))
            right = round(accuracy(attack, conditions.seed) * len(images))
            wrong = np.where(np.arange(len(images)) < right, images.labels, -1)
            return Outcomes(images.labels, images.labels, wrong)

        monkeypatch.setattr("engine.evaluation.suite.examine", examined)
        model = Constant()
        found = findings(model, digits, threat, MaskingConfig(**config), subset=num_images, seed=7)
        return found, asked

    return judge


def by(name, *values):
    """Return the accuracies of the different values of an attack's field, in rising order."""
    seen = []

    def accuracy(attack, seed):
        key = seed if name == "seed" else getattr(attack, name, None)
        if key not in seen:
            seen.append(key)
        return values[min(seen.index(key), len(values) - 1)]

    return accuracy


@pytest.mark.parametrize(
    ("accuracies", "passes"),
    [
        ((0.9, 0.8, 0.6, 0.3, 0.0), True),
        ((0.9, 0.8, 0.83, 0.3, 0.05), True),  # a rise and an end that are put down to chance
        ((0.9, 0.8, 0.84, 0.3, 0.0), False),
        ((0.9, 0.8, 0.7, 0.3, 0.06), False),
        ((0.9, 0.9, 0.9, 0.9, 0.9), False),
        ((0.9, 0.3, 0.5, 0.2, 0.0), False),  # it ends far below where it began all the same
    ],
)
def test_accuracy_may_neither_rise_with_the_radius_nor_stay(judged, accuracies, passes):
    found = judged(by("epsilon", *accuracies))[0][0]
    assert found.figures["accuracy"] == pytest.approx(accuracies)
    assert found.passed is passes


@pytest.mark.parametrize(
    ("norm", "epsilon", "radii"),
    [("linf", 0.03, [0, 0.015, 0.03, 0.06, 0.12, 0.5]), ("l2", 1.0, [0, 0.5, 1, 2, 4])],
)
def test_the_radii_double_and_end_with_half_the_widest_ball(judged, norm, epsilon, radii):
    threat = ThreatConfig(norm=norm, epsilon=epsilon)
    found, asked = judged(by("epsilon", 0.5), threat=threat)
    assert found[0].figures["epsilon"] == pytest.approx(radii)  # each once
    assert {attack.norm for attack, _, _ in asked} == {norm}


@pytest.mark.parametrize(
    ("accuracies", "passes"),
    [((0.5, 0.3, 0.33), True), ((0.5, 0.3, 0.34), False), ((0.3, 0.34, 0.2), False)],
)
def test_accuracy_may_not_rise_from_one_number_of_steps_to_the_next(judged, accuracies, passes):
    found = judged(lambda attack, _: dict(zip((1, 8, 15), accuracies, strict=True)).get(
        getattr(attack, "num_steps", 15), 0.5), num_steps=15)[0][1]  # fmt: skip
    assert found.figures == {"num_steps": [1, 8, 15], "accuracy": pytest.approx(accuracies)}
    assert found.passed is passes


@pytest.mark.parametrize(("black", "passes"), [(0.9, True), (0.47, True), (0.46, False)])
def test_a_black_box_may_be_weaker_than_a_white_one_and_not_stronger(judged, black, passes):
    found = judged(lambda attack, _: black if attack.name == "square" else 0.5)[0][2]
    assert found.figures == {"white_box": [0.5], "black_box": [pytest.approx(black)]}
    assert found.passed is passes


@pytest.mark.parametrize(
    ("accuracies", "passes"), [((0.5, 0.52, 0.49, 0.5), True), ((0.5, 0.53, 0.49, 0.5), False)]
)
def test_starts_of_other_seeds_on_the_same_images_end_alike(judged, accuracies, passes):
    found, asked = judged(by("seed", *accuracies), num_starts=4)
    assert found[3].figures["accuracy"] == pytest.approx(accuracies)
    assert found[3].passed is passes
    assert [seed for _, seed, _ in asked[-4:]] == [7, 8, 9, 10]
    assert all(images == asked[0][2] for _, _, images in asked)
    assert len(asked[0][2]) == 100


@pytest.mark.parametrize(
    ("num_images", "tolerance", "spread", "passes"),
    [(20, 0.03, 3, True), (20, 0.03, 4, False), (100, 0, 3, True), (100, 0.06, 6, True)],
)
def test_three_images_are_put_down_to_chance_whatever_the_tolerance(
    judged, num_images, tolerance, spread, passes
):
    accuracies = by("seed", 0.5, 0.5 + spread / num_images)
    found = judged(accuracies, num_images, num_starts=2, tolerance=tolerance)[0][3]
    assert found.passed is passes


def test_the_steps_of_the_white_box_are_two_and_a_half_radii_long_and_one_is_no_longer_than_it():
    config = MaskingConfig(num_steps=20)
    assert white_box(THREATS["l2"], config).step == pytest.approx(2.5 * 0.6 / 20)
    assert white_box(THREATS["l2"], config, num_steps=1).step == pytest.approx(0.6)
    assert white_box(THREATS["l2"], config, epsilon=4.0).step == pytest.approx(0.5)
