from types import SimpleNamespace

import numpy as np
import pytest

from app.runs.table import threat_in_short
from app.text.evaluation_card import (
    card_in_words,
    threat_of,
    threat_of_run,
    under_if_attacked,
)
from engine.attacks.base import ATTACKS, Conditions
from engine.evaluation.card import Subject, card_of
from engine.evaluation.error_names import ERRORS
from engine.evaluation.suite import with_fields
from engine.perturbation.threat import ThreatConfig
from engine.types import ImageSet


def words(attack, n=100):
    labels = np.zeros(100, dtype=np.int64)
    images = ImageSet(np.zeros((100, 1, 2, 2), dtype=np.uint8), labels, labels, labels)
    subject = Subject(images, 10, "test", 100, "last epoch", ThreatConfig(), "trades")
    card = card_of(attack, subject, Conditions(seed=3, batch_size=50), n=n).as_json()
    return card_in_words(SimpleNamespace(evaluation_card=card, scenario={}), "test")


def test_a_ball_stands_behind_every_error_but_the_natural_one():
    said = {name: under_if_attacked(name, "linf 8/255") for name in ERRORS}
    behind = " (linf 8/255)"
    assert said == {"natural_error": "", "boundary_error": behind, "robust_error": behind}
    assert under_if_attacked("robust_error", "") == ""


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


@pytest.mark.parametrize(
    ("scenario", "card", "said"),
    [
        ({"threat": {"norm": "linf", "epsilon": 8 / 255}}, None, "linf 8/255"),
        ({"threat": {"norm": "l2", "epsilon": 0.5}}, None, "l2 0.5"),
        ({"threat": {"norm": "l2", "epsilon": 2}, "evaluation": {"epsilon": 1}}, None, "l2 1"),
        ({"threat": {"norm": "linf", "epsilon": 0.1}}, {"norm": "l2", "epsilon": 0.2}, "l2 0.2"),
        ({}, None, ""),
    ],
)
def test_the_ball_of_a_robust_number_is_the_cards_else_the_scenarios(scenario, card, said):
    assert threat_of(scenario, card) == said


@pytest.mark.parametrize(
    ("split", "said"), [("test", "l2 0.2"), ("validation", "linf 0.1"), (None, "linf 0.1")]
)
def test_the_card_tells_the_ball_of_errors_on_test_data_alone(split, said):
    scenario = {"threat": {"norm": "linf", "epsilon": 0.1}}
    card = {"norm": "l2", "epsilon": 0.2}
    run = SimpleNamespace(scenario=scenario, evaluation_card=card, result_split=split)
    assert threat_of_run(run) == said
    run.evaluation_card = None
    assert threat_of_run(run) == "linf 0.1"


def test_the_list_of_runs_tells_norms_and_another_radius_of_the_test_apart():
    linf = {"threat": {"norm": "linf", "epsilon": 8 / 255}}
    assert threat_in_short(linf) == "linf 8/255"
    l2 = {"threat": {"norm": "l2", "epsilon": 0.5}, "evaluation": {"epsilon": 0.25}}
    assert threat_in_short(l2) == "l2 0.25, trained in l2 0.5"
