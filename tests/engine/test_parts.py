"""An evaluation that was broken off goes on from the batches that were kept, to the same end."""

import numpy as np
import pytest
import torch

from engine.attacks.base import ATTACKS, Conditions, Parts
from engine.evaluation.evaluate import examine
from engine.evaluation.released import examine_as_released
from engine.models.classifier import Classifier

CPU = torch.device("cpu")
FIELDS = {"square": {"num_queries": 60}, "pgd": {"restarts": 3, "num_steps": 3}}


class Kept(Parts):
    """Keeps every batch, knows those that it is given, and notes what is asked of it."""

    def __init__(self, known=()):
        self.known, self.said, self.shares, self.begun, self.found = list(known), [], [], 0, 0

    def begin(self):
        self.begun += 1

    def part(self, x, y, find, *, share):
        place = len(self.said)
        if place < len(self.known):
            said = self.known[place]
        else:
            self.found += 1
            said = find().clone()
        assert len(x) == len(y) == len(said)
        self.said.append(said)
        self.shares.append(share)
        return said


def conditions(parts):
    return Conditions(3, 7, parts=parts)


@pytest.mark.parametrize("name", ATTACKS.names())
def test_an_attack_ends_alike_wherever_it_was_broken_off(name, robust_model, digits):
    made = {"norm": "linf", "epsilon": 0.15, **FIELDS.get(name, {})}
    images = digits.take(np.arange(12 if name == "autoattack" else 40))
    attack = ATTACKS[name].model_validate(made)

    def look(parts):
        return examine(robust_model, images, attack, conditions=conditions(parts), device=CPU)

    whole = Kept()
    expected = look(whole)
    number = len(whole.said)
    assert number > 2
    assert expected.robust.any()
    assert not expected.robust.all()
    for done in {1, number // 2, number - 1, number}:
        again = Kept(whole.said[:done])
        found = look(again)
        assert found.attacked.tolist() == expected.attacked.tolist()
        assert (again.found, len(again.said)) == (number - done, number)
    assert whole.begun == 1
    assert whole.shares == sorted(whole.shares)
    assert whole.shares[0] > 0
    assert whole.shares[-1] <= 1 + 1e-9


def test_the_released_protocol_ends_alike_wherever_it_was_broken_off(robust_model, digits):
    images = digits.take(np.arange(40))
    zeros, ones = torch.zeros(images.images.shape[1]), torch.ones(images.images.shape[1])
    model = Classifier(robust_model, zeros, ones)
    whole = Kept()
    expected = examine_as_released(model, images, conditions(whole), device=CPU)
    again = Kept(whole.said[:3])
    found = examine_as_released(model, images, conditions(again), device=CPU)
    assert found.attacked.tolist() == expected.attacked.tolist()
    assert (again.found, whole.found, whole.shares[-1]) == (3, 6, 1.0)
