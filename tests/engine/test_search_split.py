"""The search split: training images that settings are chosen by, while test images stay unseen."""

import numpy as np
import pytest
from pydantic import ValidationError

from engine.data.preparation import prepare
from engine.scenario import Scenario
from engine.training.run_info import card_of_test

DATA = {"dataset": "digits", "meta_per_class": 10, "val_per_class": 10, "train_size": 500}


def scenario(**data) -> Scenario:
    return Scenario.model_validate({"data": DATA | data, "seed": 3})


def prepared(tmp_path, **data):
    return scenario(**data).prepared(tmp_path)


def test_the_run_is_tested_on_training_images_that_it_sees_nowhere_else(tmp_path):
    data = prepared(tmp_path, search_per_class=20)
    assert np.bincount(data.test.labels).tolist() == [20] * 10
    others = [part.source for part in (data.train, data.meta, data.validation)]
    assert not np.isin(data.test.source, np.concatenate(others)).any()
    official, _ = scenario().data.source.load(tmp_path)
    assert np.isin(data.test.source, official.source).all()


def test_what_it_trains_on_and_steers_by_stays_as_without_the_split(tmp_path):
    with_split, without = prepared(tmp_path, search_per_class=20), prepared(tmp_path)
    for part in ("train", "meta", "validation"):
        assert (getattr(with_split, part).source == getattr(without, part).source).all()


def test_every_image_that_is_left_is_trained_on(tmp_path):
    config = scenario(search_per_class=20, train_size=None).data
    assert len(prepare(config, 3, tmp_path).train) == sum(config.source.train_counts) - 400


def test_the_card_says_which_split_it_was(tmp_path):
    split = scenario(search_per_class=20)
    card = card_of_test(split, split.prepared(tmp_path), "last epoch")
    assert (card.split, card.n) == ("search", 200)
    usual = card_of_test(scenario(), prepared(tmp_path), "last epoch")
    assert usual.split == "test"


def test_a_scenario_without_the_split_keeps_its_fingerprint():
    assert "search_per_class" not in scenario().as_json()["data"]
    assert scenario(search_per_class=5).digest() != scenario().digest()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"search_per_class": 0}, "greater than or equal to 1"),
        ({"search_per_class": 120}, "allowed"),
        ({"search_per_class": 60, "train_size": 900}, "allowed"),
    ],
)
def test_a_split_that_leaves_too_little_is_refused_with_what_is_allowed(data, says):
    with pytest.raises(ValidationError, match=says):
        scenario(**data)
