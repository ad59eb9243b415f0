import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engine.meta.characteristics import NAMES, ClassLoss, characteristics


def look(logits, y, num_classes):
    return characteristics(
        logits,
        y,
        class_loss=torch.arange(num_classes, dtype=logits.dtype),
        class_counts=torch.arange(1, num_classes + 1),
    )


@pytest.fixture(params=[2, 3, 10, 1000])
def case(request):
    rng = torch.Generator().manual_seed(request.param)
    logits = 3 * torch.randn(12, request.param, generator=rng, dtype=torch.float64)
    y = torch.randint(request.param, (12,), generator=rng)
    return logits, y, request.param


def test_the_six_equal_their_definitions_in_numpy(case):
    logits, y, num_classes = case
    found = look(logits, y, num_classes)
    counts = np.arange(1, num_classes + 1)
    for row, (z, label) in enumerate(zip(logits.numpy(), y.tolist(), strict=True)):
        p = np.exp(z) / np.exp(z).sum()
        expected = {
            "loss": -np.log(p[label]),
            "class_loss": label,
            "gradient_norm": math.sqrt(sum((p[k] - (k == label)) ** 2 for k in range(num_classes))),
            "margin": p[label] - max(p[k] for k in range(num_classes) if k != label),
            "entropy": -(p * np.log(p)).sum(),
            "class_proportion": counts[label] / counts.sum(),
        }
        for name in NAMES:
            value = getattr(found, name)[row].item()
            assert value == pytest.approx(expected[name], rel=1e-6, abs=1e-9), name


def test_the_gradient_norm_is_that_of_autograd(case):
    logits, y, num_classes = case
    logits = logits.clone().requires_grad_()
    F.cross_entropy(logits, y, reduction="sum").backward()
    torch.testing.assert_close(look(logits, y, num_classes).gradient_norm, logits.grad.norm(dim=1))


def test_a_table_has_the_papers_order():
    assert NAMES == (
        "loss",
        "class_loss",
        "gradient_norm",
        "margin",
        "entropy",
        "class_proportion",
    )
    found = look(torch.zeros(2, 3), torch.tensor([0, 2]), 3)
    assert found.table().shape == (2, 6)
    assert torch.equal(found.table()[:, 2], found.gradient_norm)


def test_a_prediction_beyond_float32_still_has_finite_characteristics():
    log_p = torch.tensor([[0.0, -500.0, 500.0]]).log_softmax(dim=1)
    found = look(log_p, torch.tensor([0]), 3)
    assert found.table().isfinite().all()
    assert found.loss.item() == pytest.approx(500)
    assert found.entropy.item() == 0
    assert found.margin.item() == -1


def test_the_class_loss_of_the_next_epoch_is_this_epochs_mean():
    tracker = ClassLoss(3, torch.device("cpu"))
    assert tracker.last.tolist() == pytest.approx([math.log(3)] * 3)
    tracker.add(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 0, 2]))
    tracker.add(torch.tensor([3.0]), torch.tensor([0]))
    assert tracker.last.tolist() == pytest.approx([math.log(3)] * 3)  # not before the epoch ends
    tracker.end_epoch()
    assert tracker.last.tolist() == pytest.approx([2.0, math.log(3), 4.0])
    tracker.add(torch.tensor([5.0]), torch.tensor([1]))
    tracker.end_epoch()
    assert tracker.last.tolist() == pytest.approx([2.0, 5.0, 4.0])
