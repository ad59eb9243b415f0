"""The contracts, put to every plug-in that is installed here."""

import numpy as np
import pytest

from caat_studio_contracts import attacks, backbones, datasets, methods
from engine import train
from engine.attacks.base import ATTACKS
from engine.data.datasets.base import DATASETS
from engine.methods.base import METHODS
from engine.models.backbones.base import BACKBONES
from engine.plugin_host import SLOW


def test_a_plugin_is_on_its_menu(plugin):
    assert plugin.problem is None, plugin.problem


def test_a_plugin_is_imported_fast_enough_for_every_command_to_wait_for_it(plugin):
    assert plugin.seconds < 5 * SLOW, "import torch from caat_studio.plugins"


@pytest.mark.parametrize(("num_classes", "labels"), methods.CASES)
def test_a_method_assigns_to_any_classes(method, num_classes, labels):
    build = METHODS[method]().build
    methods.assigns_to_any_classes(build, num_classes, labels, reach=methods.ANY_BALL)


def test_a_method_withstands_extreme_errors(method):
    methods.withstands_extreme_errors(METHODS[method]().build, reach=methods.ANY_BALL)


def test_what_a_method_has_learned_goes_round(method):
    methods.what_it_has_learned_goes_round(METHODS[method]().build)


def test_a_method_is_documented(method):
    methods.is_documented(METHODS[method])


def test_equal_scenarios_of_a_method_train_equal_models(method):
    scenario = {
        "data": {"train_size": 64, "test_size": 20},
        "model": {"backbone": "mlp", "width": 8},
        "method": {"name": method},
        "threat": {"num_steps": 2},
        "training": {"epochs": 2, "batch_size": 16},
        "evaluation": {"num_steps": 2, "val_num_steps": 2},
    }
    first, again = train(scenario, device="cpu"), train(scenario, device="cpu")
    assert first.history == again.history
    for name, values in first.assignment.items():
        assert np.array_equal(values, again.assignment[name]), name
    assert (first.errors.outcomes["attacked"] == again.errors.outcomes["attacked"]).all()


@pytest.mark.parametrize(("channels", "size", "num_classes"), backbones.IMAGES)
def test_a_backbone_maps_any_images_to_logits(backbone, channels, size, num_classes):
    config = BACKBONES[backbone]()
    backbones.maps_any_images_to_logits(config, channels, size, num_classes=num_classes)


def test_a_backbone_starts_as_its_seed_says(backbone):
    backbones.starts_as_its_seed_says(BACKBONES[backbone]())


def test_a_backbone_looks_at_each_image_alone(backbone):
    backbones.looks_at_each_image_alone(BACKBONES[backbone]())


def test_a_dataset_can_hold_out_what_it_says(dataset):
    datasets.can_hold_out_what_it_says(DATASETS.all()[dataset])


def test_a_dataset_has_the_images_that_it_declares(dataset, tmp_path):
    datasets.has_the_images_that_it_declares(DATASETS.all()[dataset], tmp_path)


def attack_called(name, norm, epsilon):
    return ATTACKS[name].model_validate({"name": name, "norm": norm, "epsilon": epsilon})


@pytest.mark.parametrize("norm", attacks.EPSILON)
def test_an_attack_gives_the_same_for_the_same_seed(attack, norm):
    attacks.gives_the_same_for_the_same_seed(attack_called(attack, norm, attacks.EPSILON[norm]))


@pytest.mark.parametrize("norm", attacks.EPSILON)
def test_an_attack_shows_the_model_nothing_outside_the_ball(attack, norm):
    attacks.shows_nothing_outside_the_ball(attack_called(attack, norm, 0.05))


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_an_attack_takes_few_classes_and_one_image(attack, num_classes):
    attacks.takes_few_classes_and_one_image(attack_called(attack, "linf", 0.5), num_classes)


def test_an_attack_can_be_stopped(attack):
    attacks.can_be_stopped(attack_called(attack, "linf", 0.05))
