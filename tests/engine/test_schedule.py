"""Learning rates against torch's own schedulers, step by step."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.optim import lr_scheduler

from engine.mistakes import error_lines
from engine.optim.config import TrainingConfig
from engine.scenario import Scenario

EPOCHS, STEPS = 12, 5
TOTAL = EPOCHS * STEPS


def rates_of(config: TrainingConfig) -> list[float]:
    return [config.lr_at(epoch, n, STEPS) for epoch in range(1, EPOCHS + 1) for n in range(STEPS)]


def rates_of_torch(make, lr: float, every: int = 1) -> list[float]:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=lr, momentum=0.9)
    schedule = make(optimizer)
    rates = []
    for step in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % every == 0:
            schedule.step()
    return rates


def warmed_up(optimizer):
    """Three epochs in a line, then a cosine from epoch to epoch; both in steps."""
    rising = lr_scheduler.LinearLR(optimizer, 1 / (3 * STEPS), total_iters=3 * STEPS - 1)
    per_epoch = lr_scheduler.LambdaLR(
        optimizer, lambda step: _cosine_factor(step // STEPS, EPOCHS - 3)
    )
    return lr_scheduler.SequentialLR(optimizer, [rising, per_epoch], [3 * STEPS])


def _cosine_factor(epoch: int, epochs: int) -> float:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1)
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(min(epoch, epochs)):
        optimizer.step()
        schedule.step()
    return optimizer.param_groups[0]["lr"]


REFERENCES = {
    "constant": ({"schedule": "constant"}, lambda o: lr_scheduler.ConstantLR(o, 1.0), 1),
    "cosine": ({}, lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS), STEPS),
    "cosine with a floor": (
        {"lr_floor": 0.1},
        lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS, eta_min=0.03),
        STEPS,
    ),
    "multistep": (
        {"schedule": "multistep", "milestones": (0.5, 0.75)},
        lambda o: lr_scheduler.MultiStepLR(o, [6, 9]),
        STEPS,
    ),
    "one triangle": (
        {"schedule": "cyclic", "rise": 0.5},
        lambda o: lr_scheduler.CyclicLR(o, 0.0, 0.3, 30, 30, cycle_momentum=False),
        1,
    ),
    "three triangles on a floor": (
        {"schedule": "cyclic", "rise": 0.25, "num_cycles": 3, "lr_floor": 0.04},
        lambda o: lr_scheduler.CyclicLR(o, 0.012, 0.3, 5, 15, cycle_momentum=False),
        1,
    ),
    "one-cycle": (
        {"schedule": "one-cycle", "rise": 0.3},
        lambda o: lr_scheduler.OneCycleLR(
            o, 0.3, total_steps=TOTAL, pct_start=0.3, cycle_momentum=False
        ),
        1,
    ),
    "cosine after a warm-up": ({"warmup_epochs": 3}, warmed_up, 1),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize(("options", "make", "every"), REFERENCES.values(), ids=REFERENCES.keys())
def test_each_rate_is_torchs(options, make, every):
    config = TrainingConfig(epochs=EPOCHS, lr=0.3, **options)
    expected = rates_of_torch(make, 0.3, every)
    assert rates_of(config) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "multistep"])
def test_a_warm_up_rises_in_equal_steps_to_the_rate(schedule):
    config = TrainingConfig(epochs=EPOCHS, lr=0.3, schedule=schedule, warmup_epochs=2)
    rates = rates_of(config)
    assert rates[: 2 * STEPS] == pytest.approx([0.03 * (n + 1) for n in range(2 * STEPS)])
    assert rates[2 * STEPS] == pytest.approx(0.3)


def test_milestones_are_shares_of_the_run_with_or_without_a_warm_up():
    fields = {"epochs": EPOCHS, "lr": 1, "schedule": "multistep", "milestones": (0.5,)}
    for warmup in (0, 3):
        config = TrainingConfig(warmup_epochs=warmup, **fields)
        assert (config.lr_at(6, 4, STEPS), config.lr_at(7, 0, STEPS)) == (1, 0.1)


def test_a_warm_start_has_a_cosine_of_its_own_and_the_method_its_whole_schedule():
    with_start = TrainingConfig(
        epochs=EPOCHS, warm_start_epochs=4, warm_start_lr=0.2, lr=0.01, warmup_epochs=2
    )
    natural = TrainingConfig(epochs=4, lr=0.2)
    alone = TrainingConfig(epochs=EPOCHS - 4, lr=0.01, warmup_epochs=2)
    for n in range(STEPS):
        for epoch in range(1, 5):
            assert with_start.lr_at(epoch, n, STEPS) == natural.lr_at(epoch, n, STEPS)
        for epoch in range(5, EPOCHS + 1):
            assert with_start.lr_at(epoch, n, STEPS) == alone.lr_at(epoch - 4, n, STEPS)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "multistep", "cyclic", "one-cycle"])
@pytest.mark.parametrize(("epochs", "num_steps"), [(1, 1), (1, 2), (2, 1), (1, 3), (3, 7)])
@pytest.mark.parametrize("rise", [0.001, 0.3, 0.999])
def test_the_shortest_run_has_a_rate_from_zero_to_lr(schedule, epochs, num_steps, rise):
    config = TrainingConfig(epochs=epochs, lr=0.3, schedule=schedule, rise=rise)
    for epoch in range(1, epochs + 1):
        for number in range(num_steps):
            assert 0 <= config.lr_at(epoch, number, num_steps) <= 0.3 * (1 + 1e-12)


WRONG = {
    "a warm-up as long as the run": (
        {"training": {"epochs": 5, "warmup_epochs": 5}},
        "training.warmup_epochs",
        "5 is not valid with 5 epochs of the method; allowed: a whole number, 0 to 4",
    ),
    "a warm-up that leaves nothing after the warm start": (
        {"training": {"epochs": 9, "warm_start_epochs": 5, "warmup_epochs": 4}},
        "training.warmup_epochs",
        "4 is not valid with 4 epochs of the method; allowed: a whole number, 0 to 3",
    ),
    "a warm-up of one-cycle": (
        {"training": {"schedule": "one-cycle", "warmup_epochs": 2}},
        "training.warmup_epochs",
        "2 is not valid with schedule one-cycle, which rises by itself; allowed: 0",
    ),
    "a warm start as long as the run": (
        {"training": {"epochs": 5, "warm_start_epochs": 5}},
        "training.warm_start_epochs",
        "5 is not valid with epochs 5; allowed: a whole number, 0 to 4",
    ),
    "a radius that never gets there": (
        {"training": {"epochs": 5}, "threat": {"epsilon_warmup_epochs": 5}},
        "threat.epsilon_warmup_epochs",
        "5 is not valid with 5 epochs of the method; allowed: a whole number, 0 to 4",
    ),
    "an average of nothing": (
        {"training": {"ema_decay": 1}},
        "training.ema_decay",
        "1 is not valid; allowed: more than 0 to less than 1",
    ),
    "no patience": (
        {"training": {"patience": 0}},
        "training.patience",
        "0 is not valid; allowed: a whole number, 1 to 1000",
    ),
    "a gradient of no length": (
        {"training": {"clip_norm": 0}},
        "training.clip_norm",
        "0 is not valid; allowed: more than 0 to 1000000.0",
    ),
    "half precision": (
        {"training": {"precision": "fp16"}},
        "training.precision",
        "'fp16' is not valid; allowed: float32, bf16, tf32",
    ),
    "the worst checkpoint": (
        {"evaluation": {"checkpoint": "worst"}},
        "evaluation.checkpoint",
        "'worst' is not valid; allowed: last, best",
    ),
}


@pytest.mark.parametrize(("tables", "path", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_between_fields_names_field_value_and_range(tables, path, says):
    with pytest.raises(ValidationError) as error:
        Scenario.model_validate(tables)
    assert error_lines(error.value, Scenario) == {path: says}
