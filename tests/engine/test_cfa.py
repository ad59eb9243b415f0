import pytest
import torch

from engine.evaluation.class_errors import ClassErrors
from engine.methods.base import METHODS

RIGHT = [True, True, False, True, True, False, False, False, True, False]
"""Of batch.y = 0 1 2 0 1 2 0 0 1 2: two of four zeros, every one, no two."""


@pytest.fixture
def cfa_of(learner):
    return lambda **fields: METHODS["cfa"](fairness_from=0.0, **fields).build(learner)


@pytest.fixture
def shown(batch, learner, step_of):
    """Return a step in which the model is right on chosen adversaries."""
    from dataclasses import replace

    def make(method, right=RIGHT):
        says = torch.where(torch.tensor(right), batch.y, (batch.y + 1) % 3)
        logits = torch.nn.functional.one_hot(says, 3).float()
        return replace(step_of(method, learner, batch), adversary_logits=logits)

    return make


def test_the_calibration_of_three_classes_by_hand(cfa_of, batch, shown):
    cfa = cfa_of()
    cfa.start_epoch(1, None)
    first = cfa.assign(batch, None)
    torch.testing.assert_close(first.bound, torch.full((10,), 0.1))
    torch.testing.assert_close(first.clean, torch.full((10,), 1 / 7))
    torch.testing.assert_close(first.adversary, torch.full((10,), 6 / 7))
    cfa.learn(shown(cfa))
    cfa.start_epoch(2, None)  # t = 1/2, 1, 0
    given = cfa.assign(batch, None)
    # epsilon (0.3 + t): 0.08, 0.13, 0.03;  beta (0.5 + t): 6, 9, 3
    bound, clean, adversary = [0.08, 0.13, 0.03], [1 / 7, 1 / 10, 1 / 4], [6 / 7, 9 / 10, 3 / 4]
    torch.testing.assert_close(given.bound, torch.tensor(bound)[batch.y])
    torch.testing.assert_close(given.clean, torch.tensor(clean)[batch.y])
    torch.testing.assert_close(given.adversary, torch.tensor(adversary)[batch.y])


def test_the_accuracy_is_that_of_all_batches_of_the_epoch_before(cfa_of, shown):
    cfa = cfa_of()
    cfa.start_epoch(1, None)
    cfa.learn(shown(cfa))
    cfa.learn(shown(cfa, [True] * 10))
    cfa.start_epoch(2, None)
    torch.testing.assert_close(cfa.accuracy, torch.tensor([0.75, 1.0, 0.5]))
    cfa.start_epoch(3, None)  # no class was seen in between
    torch.testing.assert_close(cfa.accuracy, torch.tensor([0.75, 1.0, 0.5]))
    cfa.learn(shown(cfa, [False] * 10))
    cfa.start_epoch(4, None)
    torch.testing.assert_close(cfa.accuracy, torch.zeros(3))


@pytest.mark.parametrize(
    ("epoch", "worst", "joins"),
    [(1, 0.9, False), (2, 0.9, False), (3, 0.19, False), (3, 0.21, True), (4, 0.21, True)],
)
def test_an_epoch_joins_the_average_late_and_if_no_class_is_too_weak(cfa_of, epoch, worst, joins):
    cfa = cfa_of(average_from=0.5)  # of four epochs
    errors = ClassErrors(torch.tensor([0.1, 0.0, 0.0]), torch.tensor([1 - worst - 0.1, 0.0, 0.1]))
    assert cfa.joins_average(epoch, errors) == joins


def test_no_average_is_kept_unless_asked_for(cfa_of):
    assert cfa_of().average_decay == 0.85
    assert cfa_of(average=False).average_decay is None
