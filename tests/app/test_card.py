from types import SimpleNamespace

import numpy as np
import pytest

from app.card import card_in_words
from engine.card import Subject, card_of
from engine.evaluation_attack import ATTACKS, Conditions
from engine.perturb import ThreatConfig
from engine.suite import with_fields
from engine.types import ImageSet


def words(attack, n=100):
    labels = np.zeros(100, dtype=np.int64)
    images = ImageSet(np.zeros((100, 1, 2, 2), dtype=np.uint8), labels, labels, labels)
    subject = Subject(images, 10, "test", 100, "last epoch", ThreatConfig(), "trades")
    card = card_of(attack, subject, Conditions(seed=3, batch_size=50), n).as_json()
    return card_in_words(SimpleNamespace(evaluation_card=card, scenario={}), "test")


@pytest.mark.parametrize(
    ("attack", "n", "said"),
    [
        (
            {"name": "pgd", "restarts": 5},
            100,
            "PGD-20 x 5; linf, ε = 8/255; step 2/255; 5 restarts; test, n = 100",
        ),
        (
            {"name": "autoattack", "norm": "l2", "epsilon": 2},
            40,
            "AA-subset(40); l2, ε = 2; adaptive step; 1 restart; test, n = 40",
        ),
    ],
)
def test_a_card_is_said_in_one_line(attack, n, said):
    config = ATTACKS[attack["name"]].model_validate(attack)
    line = words(config, n)
    assert line == f"{said}; checkpoint: last epoch; seed 3; float32"
    assert line != words(with_fields(config, epsilon=0.5), n)
