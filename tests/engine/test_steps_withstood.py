"""How many steps of its adversary a sample withstands, against walks of every length."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.inspection.distributions import STEPS_WITHSTOOD
from engine.inspection.label_noise import detection
from engine.methods.base import METHODS

STEPS = 6


@pytest.mark.parametrize("climbs", ["ce", "kl"])
def test_it_is_the_number_of_steps_before_which_every_image_of_the_walk_was_seen_right(
    climbs, learner, batch
):
    objective = replace(METHODS["caat"]().build(learner).objective, climbs=climbs)
    attack = replace(learner.attack, counts=True)
    log_p = learner.log_probabilities(batch.x)
    y = log_p.argmax(dim=1).where(torch.arange(10) % 3 > 0, batch.y)  # some are seen right at first
    batch, bound = replace(batch, y=y), torch.full((10,), 0.3)

    def walk(num_steps):
        attack.rng.manual_seed(4)
        return attack(batch, log_p, bound, objective=replace(objective, num_steps=num_steps))

    right = []
    for number in range(STEPS):  # the image before the step of that number, counted from 0
        attack.threat = attack.threat.model_copy(update={"num_steps": number})
        attack.rng.manual_seed(4)
        x = attack(batch, log_p, bound, objective=replace(objective, num_steps=None)).adversary
        right.append(learner.log_probabilities(x).argmax(dim=1) == y)
    wanted = torch.stack(right).float().cumprod(dim=0).sum(dim=0)
    found = walk(STEPS).withstood
    assert torch.equal(found, wanted)
    assert found.min() == 0
    assert found.max() > 0


def test_nobody_counts_unless_asked_or_where_a_sample_gets_one_copy(learner, batch):
    objective = METHODS["caat"]().build(learner).objective
    log_p, bound = learner.log_probabilities(batch.x), torch.full((10,), 0.1)
    assert learner.attack(batch, log_p, bound, objective=objective).withstood is None
    attack = replace(learner.attack, counts=True)
    one = {"probability": torch.full((10,), 0.5)}
    assert attack(batch, log_p, bound, objective=objective, **one).withstood is None


@pytest.mark.parametrize("method", ["trades", "caat", "balanced-softmax"])
def test_a_run_stores_it_and_says_how_well_it_tells_wrong_labels(method, scenario_of, run):
    record = run(scenario_of(method, training={"record_steps": True, "epochs": 1}))
    steps = record.epochs[0].snapshot.columns[STEPS_WITHSTOOD]
    assert set(np.unique(steps)) <= {0.0, 1.0, 2.0}
    assert 0 <= record.epochs[0].measures["flipped_auc_steps"] <= 1
    named = {each.quantity for each in record.epochs[0].snapshot.distributions}
    assert STEPS_WITHSTOOD in named


def test_copies_are_the_same_whether_or_not_steps_are_counted(scenario_of, run, assert_equal):
    plain, counted = (
        run(scenario_of("trades", training={"record_steps": on, "epochs": 1}))
        for on in (False, True)
    )
    assert_equal(plain.epochs[0].state, counted.epochs[0].state)


def test_who_breaks_early_is_doubted():
    flipped = np.array([True, True, False, False])
    steps = {STEPS_WITHSTOOD: np.array([0.0, 1.0, 1.0, 5.0], dtype=np.float32)}
    assert detection(steps, flipped) == {"flipped_auc_steps": 0.875}
    assert detection(steps, ~flipped) == {"flipped_auc_steps": 0.125}
    assert detection(steps, np.zeros(4, dtype=bool)) == {}
