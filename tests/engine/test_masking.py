import numpy as np
import pytest
import torch
from torch import nn

from engine.evaluation.card import Subject
from engine.evaluation.masking import MaskingConfig, masking_checks
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
