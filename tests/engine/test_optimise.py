import math

import pytest
import torch
from torch import nn

from engine.optim.config import TrainingConfig, set_lr


def test_the_cosine_starts_at_the_rate_and_ends_near_zero():
    config = TrainingConfig(epochs=10, lr=0.4)
    assert config.lr_at(1) == 0.4
    assert config.lr_at(6) == pytest.approx(0.2)
    assert config.lr_at(10) == pytest.approx(0.4 * (1 + math.cos(0.9 * math.pi)) / 2)


def test_the_cosine_is_torchs():
    config = TrainingConfig(epochs=7, lr=0.3)
    optimizer = config.optimizer(nn.Linear(1, 1))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7)
    for epoch in range(1, 8):
        assert config.lr_at(epoch) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()


def test_milestones_divide_the_rate_by_ten():
    config = TrainingConfig(epochs=8, lr=1, schedule="multistep", milestones=(0.5, 0.75))
    rates = [config.lr_at(epoch) for epoch in range(1, 9)]
    assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_constant_rate_is_constant():
    config = TrainingConfig(epochs=5, lr=0.1, schedule="constant")
    assert {config.lr_at(epoch) for epoch in range(1, 6)} == {0.1}


def test_the_optimiser_has_the_configured_fields():
    config = TrainingConfig(lr=0.2, momentum=0.5, nesterov=True, weight_decay=0.01)
    optimizer = config.optimizer(nn.Linear(2, 2))
    set_lr(optimizer, 0.3)
    (group,) = optimizer.param_groups
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.3, 0.5, True)
    assert group["weight_decay"] == 0.01
