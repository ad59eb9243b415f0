import sys
from importlib.metadata import version

import numpy as np
import pytest
import torch

from engine.attacks._pyautoattack import num_targets
from engine.attacks.autoattack import STANDARD
from engine.attacks.base import ATTACKS
from engine.attacks.pgd import Pgd
from engine.errors import UserError
from engine.evaluation.card import Subject
from engine.evaluation.suite import SampleConfig, Suite, stratified_subset
from engine.perturbation.threat import ThreatConfig

TRAINED = ThreatConfig(epsilon=0.15)


@pytest.fixture
def suite_of(robust_model, digits):
    """Return a suite on the robust model and its digits; keywords are those of the sample."""

    def make(model=robust_model, num_classes=10, **sample):
        subject = Subject(digits, num_classes, "test", len(digits), "last epoch", TRAINED, "pgd-at")
        return Suite(model, subject, SampleConfig(**sample), torch.device("cpu"))

    return make


def test_a_subset_keeps_the_shares_of_the_classes_and_is_drawn_by_seed_and_size():
    labels = np.repeat(np.arange(4), [400, 300, 200, 100])
    first, again, other = (stratified_subset(labels, 50, 4, seed=seed) for seed in (3, 3, 4))
    assert np.bincount(labels[first]).tolist() == [20, 15, 10, 5]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (np.diff(first) > 0).all()


def test_outcomes_belong_to_the_images_that_are_named(suite_of, digits):
    whole = suite_of().assess(Pgd(epsilon=0.0))
    part = suite_of(subset=40).assess(Pgd(epsilon=0.0))
    assert whole.index.tolist() == list(range(300))
    assert len(part.index) == len(part.outcomes.label) == 40
    assert np.array_equal(part.outcomes.label, digits.labels[part.index])
    assert np.array_equal(part.outcomes.clean, whole.outcomes.clean[part.index])


def test_every_attack_of_an_evaluation_looks_at_the_same_subset(suite_of):
    suite = suite_of(subset=20, seed=5)
    first = suite.assess(Pgd())
    second = suite.assess(ATTACKS["square"].model_validate({"num_queries": 5}))
    assert np.array_equal(first.index, second.index)


@pytest.mark.parametrize(
    ("attack", "label"),
    [
        ({"name": "pgd", "num_steps": 3}, "PGD-3"),
        ({"name": "pgd", "num_steps": 3, "restarts": 2}, "PGD-3 x 2"),
        ({"name": "apgd"}, "APGD"),
        ({"name": "square", "num_queries": 5}, "Square-5"),
        ({"name": "autoattack"}, "AA"),
    ],
)
def test_an_attack_on_a_subset_is_never_labelled_as_if_on_all(suite_of, attack, label, monkeypatch):
    config = ATTACKS[attack["name"]].model_validate(attack)
    monkeypatch.setattr(type(config), "attacked", lambda self, model, images, clean, **_: clean)
    assert suite_of().assess(config).card.label == label
    part = suite_of(subset=30).assess(config).card
    assert part.label == f"{label}-subset(30)"
    assert (part.n, part.whole, part.subset) == (30, 300, True)


def test_the_card_has_the_radius_of_the_attack_and_that_of_the_training(suite_of):
    attack = Pgd(norm="l2", epsilon=0.5, num_steps=3, restarts=2)
    card = suite_of(seed=9, batch_size=77).assess(attack).card.as_json()
    expected = {
        "attack": "pgd",
        "norm": "l2",
        "epsilon": 0.5,
        "step_size": 0.125,
        "num_steps": 3,
        "restarts": 2,
        "trained_norm": "linf",
        "trained_epsilon": 0.15,
        "batch_size": 77,
        "batch_norm": "eval",
        "seed": 9,
        "targets": None,
    }
    assert {name: card[name] for name in expected} == expected
    assert "pyautoattack" not in card["versions"]


def test_the_card_names_the_package_that_did_the_work(suite_of):
    square = ATTACKS["square"].model_validate({"num_queries": 5})
    card = suite_of(subset=10).assess(square).card
    assert card.versions["pyautoattack"] == version("pyautoattack")
    assert card.step_size is None


def test_an_evaluation_is_the_same_for_the_same_seed_only(suite_of):
    attack = Pgd(epsilon=0.15, num_steps=1, step_size=0.01)
    first, again, other = (
        suite_of(seed=seed).assess(attack).outcomes.attacked for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_security_curve_measures_each_radius_afresh(suite_of):
    suite, radii = suite_of(), [0.0, 0.05, 0.15, 0.5]
    curve = suite.security_curve(Pgd(num_steps=10), radii)
    assert [found.card.epsilon for found in curve] == radii
    assert [found.card.step_size for found in curve] == [radius / 4 for radius in radii]
    accuracy = [1 - found.outcomes.robust.mean() for found in curve]
    assert accuracy == sorted(accuracy, reverse=True)
    assert accuracy[0] > 0.9
    assert accuracy[-1] < 0.1
    alone = suite.assess(Pgd(epsilon=0.15, num_steps=10)).outcomes
    assert np.array_equal(curve[2].outcomes.attacked, alone.attacked)


def test_a_step_of_ones_own_keeps_its_share_of_the_radius_along_a_security_curve(suite_of):
    attack = Pgd(epsilon=0.1, num_steps=2, step_size=0.06)
    curve = suite_of(subset=20).security_curve(attack, [0.0, 0.05, 0.2])
    assert [found.card.step_size for found in curve] == pytest.approx([0.0, 0.03, 0.12])


def test_a_subset_that_leaves_a_class_without_an_image_is_refused():
    labels = np.repeat(np.arange(3), [50, 40, 10])
    with pytest.raises(UserError, match=r"^subset: 4 is not valid, .* number, 6 to 100$"):
        stratified_subset(labels, 4, 3, seed=0)
    assert set(labels[stratified_subset(labels, 6, 3, seed=0)]) == {0, 1, 2}
    assert len(stratified_subset(labels, 6, 4, seed=0)) == 6  # a class that the set lacks


@pytest.mark.parametrize("name", ["apgd", "autoattack", "square"])
def test_a_missing_package_is_told_before_any_work(suite_of, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    monkeypatch.setattr(
        "engine.evaluation.suite.examine", lambda *_, **__: pytest.fail("work was done")
    )
    with pytest.raises(UserError, match=r"pip install 'caat-studio\[autoattack\]'"):
        suite_of().assess(ATTACKS[name]())


def test_what_does_not_fit_is_told_in_one_line(suite_of):
    with pytest.raises(UserError, match="subset: 301 is not valid; the set has 300 images"):
        suite_of(subset=301).assess(Pgd())
    with pytest.raises(UserError, match=r"epsilon: 1.5 is not valid in linf; allowed: 0 to 1"):
        suite_of().assess(Pgd(epsilon=1.5))
    with pytest.raises(UserError, match="epsilon: 9 is not valid in l2; allowed: 0 to 8"):
        suite_of().assess(Pgd(norm="l2", epsilon=9))
    with pytest.raises(UserError, match="the model tells 10 classes apart, the images have 12"):
        suite_of(num_classes=12).assess(Pgd())


def test_steps_that_end_exactly_at_the_edge_of_the_ball_are_long_enough():
    for num_steps, step in ((4, 0.025), (3, 0.1 / 3), (1, 0.1)):
        attack = Pgd(epsilon=0.1, num_steps=num_steps, step_size=step)
        assert attack.reaching() == attack
    assert Pgd(epsilon=0.1, num_steps=3).reaching().step == pytest.approx(0.1 / 3)
    assert Pgd(epsilon=0.0, num_steps=1).reaching() == Pgd(epsilon=0.0, num_steps=1)
    with pytest.raises(ValueError, match=r"allowed: at least 4$"):
        Pgd(epsilon=0.1, num_steps=3, step_size=0.025).reaching()


def test_the_card_of_a_step_that_is_not_written_out_says_how_long_it_is():
    assert Pgd(epsilon=0.2).procedure(10).step_size == pytest.approx(0.05)
    assert Pgd(epsilon=0.2, step_size=0.01).procedure(10).step_size == 0.01


def test_autoattack_is_the_members_of_the_standard_version_and_apgd_the_first_of_them():
    from pyautoattack import AutoAttack

    standard = AutoAttack(lambda x: x, eps=0.1, version="standard", device="cpu").attacks_to_run
    assert list(STANDARD.names) == standard
    assert [num_targets(num_classes) for num_classes in (4, 9, 10, 11, 100)] == [3, 8, 9, 9, 9]
