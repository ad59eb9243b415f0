"""What every attack of an evaluation promises, and what other libraries find on the same model."""

import logging
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from caat_studio_contracts import attacks as rules
from caat_studio_contracts.attacks import EPSILON, ORDER, Watched, look
from engine.attacks.base import ATTACKS, Conditions
from engine.errors import UserError
from engine.evaluation.evaluate import examine
from engine.evaluation.suite import with_fields
from engine.models.modes import channels_last
from engine.perturbation.norms import BALLS
from engine.perturbation.steps import random_start
from engine.seeds import torch_stream

CHEAP = {"square": {"num_queries": 100}, "pgd": {"restarts": 2}}
NAMES = [name for name in ATTACKS.names() if name != "autoattack"]
"""AutoAttack is made of the others, and costs as much as all of them."""


def attack_called(name, norm, **fields):
    made = {"norm": norm, "epsilon": EPSILON[norm], **CHEAP.get(name, {}), **fields}
    return ATTACKS[name].model_validate(made)


def pixels(images):
    return torch.from_numpy(images.images).float() / 255, torch.from_numpy(images.labels)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", NAMES)
def test_an_attack_breaks_images_and_the_same_ones_for_the_same_seed(name, norm):
    first = rules.gives_the_same_for_the_same_seed(attack_called(name, norm))
    assert 0.05 < first.robust.mean() < 0.95
    assert first.robust.mean() > first.natural.mean()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", NAMES)
def test_no_attack_shows_the_model_anything_outside_the_ball(name, norm):
    attack = attack_called(name, norm, epsilon=0.05)
    assert rules.shows_nothing_outside_the_ball(attack) > 0.04


@pytest.mark.parametrize("num_classes", [2, 3, 4, 5])
@pytest.mark.parametrize("name", NAMES)
def test_an_attack_takes_few_classes_and_one_image(name, num_classes):
    attack = attack_called(name, "linf", epsilon=0.5)
    assert rules.takes_few_classes_and_one_image(attack, num_classes).robust.all()
    said = attack.procedure(num_classes)
    if name == "apgd":
        assert said.label == ("APGD" if num_classes > 3 else "APGD-CE")
        assert said.targets == (num_classes - 1 if num_classes > 3 else None)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_autoattack_is_refused_where_its_loss_is_not_defined(num_classes, digits):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes)).eval()
    images = digits.take(np.flatnonzero(digits.labels < 2))
    with pytest.raises(UserError, match=f"at least 4 classes .* has {num_classes}; choose apgd"):
        look(model, images, attack_called("autoattack", "linf"))


@pytest.mark.parametrize("name", ["apgd", "autoattack", "square"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    name, robust_model, digits, monkeypatch
):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(UserError, match=r"pip install 'caat-studio\[autoattack\]'"):
        look(robust_model, digits, attack_called(name, "linf"))


def test_a_package_that_logs_and_takes_the_tracer_is_kept_to_itself(robust_model, digits, caplog):
    def tracer(*_):
        return None

    before, logger = sys.gettrace(), logging.getLogger("auto-attack")
    level = logger.level
    sys.settrace(tracer)
    try:
        look(robust_model, digits.take(np.arange(5)), attack_called("square", "linf"))
        kept = sys.gettrace()
    finally:
        sys.settrace(before)
    assert kept is tracer
    assert logger.level == level
    assert not [record for record in caplog.records if record.name == "auto-attack"]


def test_someone_can_stop_an_attack_in_the_middle(robust_model, digits):
    calls = []

    def check():
        calls.append(None)
        if len(calls) == 30:
            raise KeyboardInterrupt

    for name in ("pgd", "square"):
        calls.clear()
        attack = attack_called(name, "linf", **({"restarts": 40} if name == "pgd" else {}))
        with pytest.raises(KeyboardInterrupt):
            examine(
                robust_model,
                digits,
                attack,
                conditions=Conditions(0, 250, check),
                device=torch.device("cpu"),
            )


class Sure(nn.Module):
    """Always right about zeros by a margin that the mean of an image moves a little."""

    def forward(self, x):
        mean = x.mean(dim=(1, 2, 3))
        return torch.stack([9 + mean, mean * 0, mean * 0], dim=1)


@pytest.mark.parametrize(
    ("name", "few", "more", "ratio"),
    [
        ("apgd", {"restarts": 1}, {"restarts": 3}, 3),
        ("pgd", {"num_steps": 5, "restarts": 1}, {"num_steps": 5, "restarts": 4}, 4),
    ],
)
def test_an_attack_looks_as_often_as_it_was_given_restarts(name, few, more, ratio, digits):
    zeros, looks = digits.take(np.flatnonzero(digits.labels == 0)[:2]), []
    for fields in (few, more):
        watched = Watched(Sure().eval())
        assert not look(watched, zeros, attack_called(name, "linf", **fields)).robust.any()
        looks.append(len(watched.shown) - 1)  # the clean images
    assert looks[1] / looks[0] == pytest.approx(ratio, rel=0.1)


# -- PGD, which is our own


def pgd_of_all(model, images, attack, batch_size, seed):
    """Attack every image at every step of every restart; wrong once is wrong."""
    x, y = pixels(images)
    broken = model(x).argmax(dim=1) != y
    for number, index in enumerate(torch.arange(len(y)).split(batch_size)):
        for restart in range(attack.restarts):
            ball = BALLS[attack.norm](x[index], torch.full((len(index),), attack.epsilon))
            rng = torch_stream(seed, f"attack {number}", restart)
            moved = ball.clip(random_start(ball, start="uniform", generator=rng))
            for step in range(attack.num_steps + 1):
                moved = moved.detach().requires_grad_()
                logits = model(moved)
                broken[index] |= logits.argmax(dim=1) != y[index]
                if step < attack.num_steps:
                    loss = F.cross_entropy(logits, y[index], reduction="sum")
                    (gradient,) = torch.autograd.grad(loss, moved)
                    moved = ball.clip(moved.detach() + attack.step * ball.steepest(gradient))
    return broken.numpy()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_leaving_broken_images_out_breaks_the_same_images(norm, robust_model, digits):
    attack = attack_called("pgd", norm, restarts=3, num_steps=30)
    found = look(robust_model, digits, attack, batch_size=70)
    with channels_last(robust_model):
        expected = pgd_of_all(robust_model, digits, attack, 70, seed=0)
    assert np.array_equal(found.robust, expected)
    assert 0.1 < expected.mean() < 0.9


def test_a_broken_image_is_not_shown_again(robust_model, digits):
    watched = Watched(robust_model)
    attack = attack_called("pgd", "l2", restarts=2, num_steps=10)
    look(watched, digits, attack, batch_size=300)
    sizes = [len(x) for x in watched.shown[1:]]  # after the clean look
    once = look(robust_model, digits, with_fields(attack, restarts=1), batch_size=300)
    assert len(sizes) == 2 * 11
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == (~once.natural).sum()
    assert sizes[11] == (~once.robust).sum() < sizes[10]


def test_a_walk_that_goes_to_and_fro_ends(digits):
    class Ridge(nn.Module):
        """Always right about zeros, least so where the mean is 0.5."""

        def forward(self, x):
            away = (x.mean(dim=(1, 2, 3)) - 0.5).abs()
            return torch.stack([1 + away] + [torch.zeros_like(away)] * 9, dim=1)

    zeros = digits.take(np.flatnonzero(digits.labels == 0)[:4])
    watched = Watched(Ridge().eval())
    attack = attack_called("pgd", "linf", epsilon=0.5, num_steps=1000, restarts=1)
    assert not look(watched, zeros, attack).robust.any()
    assert len(watched.shown) < 30


def test_restarts_break_what_a_single_start_breaks_and_more(robust_model, digits):
    one, many = (
        look(robust_model, digits, attack_called("pgd", "linf", restarts=n, num_steps=3))
        for n in (1, 20)
    )
    assert (many.robust >= one.robust).all()
    assert many.robust.sum() > one.robust.sum()


# -- other libraries on the same model, images and radius


def art_outcomes(model, images, attack):
    """PGD of the Adversarial Robustness Toolbox: wrong images, with or without the attack."""
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    x, y = pixels(images)
    classifier = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 10, clip_values=(0.0, 1.0)
    )
    np.random.seed(0)
    pgd = ProjectedGradientDescent(
        classifier,
        norm=ORDER[attack.norm],
        eps=attack.epsilon,
        eps_step=attack.step,
        max_iter=attack.num_steps,
        num_random_init=attack.restarts,
        batch_size=300,
        verbose=False,
    )
    x_adv = torch.from_numpy(pgd.generate(x.numpy(), y.numpy()))
    wrong = (model(x_adv).argmax(dim=1) != y) | (model(x).argmax(dim=1) != y)
    return wrong.numpy()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_breaks_what_the_adversarial_robustness_toolbox_breaks(norm, robust_model, digits):
    attack = attack_called("pgd", norm, num_steps=20, restarts=1)
    ours = look(robust_model, digits, attack).robust
    theirs = art_outcomes(robust_model, digits, attack)
    error = np.sqrt(ours.mean() * (1 - ours.mean()) / 300)  # binomial, of one of the two
    assert abs(ours.mean() - theirs.mean()) <= 2 * error
    assert (ours != theirs).mean() <= 0.05  # the starts are others


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_with_many_steps_breaks_almost_what_apgd_does(norm, robust_model, digits):
    from pyautoattack import AutoAttack

    x, y = pixels(digits)
    pgd = attack_called("pgd", norm, num_steps=100, restarts=5, step_size=EPSILON[norm] / 20)
    ours = look(robust_model, digits, pgd).robust
    direct = AutoAttack(
        robust_model, norm={"linf": "Linf", "l2": "L2"}[norm], eps=EPSILON[norm], seed=0,
        version="custom", attacks=["apgd-ce"],
    )  # fmt: skip
    direct.apgd.n_restarts = 5
    with torch.random.fork_rng(devices=[]):
        _, seen = direct.run_standard_evaluation(x, y, batch_size=300)
    theirs = (seen != y).numpy()
    assert abs(int(ours.sum()) - int(theirs.sum())) <= 6  # of 300
    assert (ours != theirs).sum() <= 6


def autoattack_itself(model, images, norm, seed, **options):
    from pyautoattack import AutoAttack

    x, y = pixels(images)
    name = {"linf": "Linf", "l2": "L2"}[norm]
    direct = AutoAttack(model, norm=name, eps=EPSILON[norm], seed=seed, **options)
    direct.apgd.n_restarts = 1
    with torch.random.fork_rng(devices=[]):
        _, seen = direct.run_standard_evaluation(x, y)
    model.zero_grad()
    return seen.numpy()


def test_autoattack_gives_what_its_authors_package_gives(robust_model, digits):
    images = digits.take(np.arange(30))
    expected = autoattack_itself(robust_model, images, "linf", 7)
    found = look(robust_model, images, attack_called("autoattack", "linf"), seed=7)
    assert found.attacked.tolist() == expected.tolist()
    assert 0.1 < found.robust.mean() < 0.9
    assert all(parameter.grad is None for parameter in robust_model.parameters())


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("seed", [0, 1])
def test_apgd_gives_what_the_same_members_of_autoattack_give(norm, seed, robust_model, digits):
    images = digits.take(np.arange(60))
    members = {"version": "custom", "attacks": ["apgd-ce", "apgd-t"]}
    expected = autoattack_itself(robust_model, images, norm, seed, **members)
    found = look(robust_model, images, attack_called("apgd", norm), seed=seed)
    assert found.attacked.tolist() == expected.tolist()


def test_an_attack_in_channels_last_is_the_same_attack(robust_model, digits):
    class ChannelsLast(nn.Module):
        def forward(self, x):
            return robust_model(x.to(memory_format=torch.channels_last))

    images, attack = digits.take(np.arange(30)), attack_called("apgd", "l2")
    found = look(ChannelsLast().eval(), images, attack)
    assert np.array_equal(found.robust, look(robust_model, images, attack).robust)


def test_fields_of_an_attack_are_validated_when_they_change():
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        with_fields(attack_called("pgd", "linf"), epsilon=-1)
