"""A new scenario: the radius that is filled in, and fields that do not go together."""

import math
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.data.config import with_meta_set
from engine.data.datasets.base import datasets
from engine.errors import UserError
from engine.evaluation.evaluate import attack_of
from engine.methods.base import METHODS
from engine.new_scenario import new_scenario
from engine.perturbation.norms import BALLS, default_epsilon
from engine.scenario import Scenario
from tests.engine.mistakes import mistakes_of

# -- norm and radius


@pytest.mark.parametrize(
    ("dataset", "norm", "radius"),
    [
        ("cifar10", "l2", 0.5),
        ("svhn", "l2", 0.5),
        ("fashion-mnist", "l2", 0.25),
        ("digits", "l2", 0.072),
        ("cifar10", "linf", 8 / 255),
        ("digits", "linf", 8 / 255),
    ],
)
@pytest.mark.parametrize("left_out", [{}, {"epsilon": None}])
def test_an_empty_radius_is_the_usual_one_of_the_norm_and_is_stored(
    dataset, norm, radius, left_out
):
    scenario = new_scenario({"data": {"dataset": dataset}, "threat": {"norm": norm, **left_out}})
    assert scenario.as_json()["threat"]["epsilon"] == pytest.approx(radius)
    assert attack_of(scenario.evaluation, scenario.threat, split="test").epsilon == radius


def test_the_default_radius_in_l2_is_the_same_share_of_the_widest_ball_for_every_image():
    shares = [
        default_epsilon("l2", channels, size) / BALLS["l2"].widest(channels * size**2)
        for channels, size in [(1, 8), (1, 28), (3, 32), (3, 64), (3, 224)]
    ]
    assert shares == pytest.approx([0.5 / math.sqrt(3072)] * 5, rel=0.02)


def test_an_unknown_dataset_is_told_alone_where_the_radius_would_depend_on_it():
    lines = mistakes_of({"threat": {"norm": "l2"}, "data": {"dataset": "x"}})
    assert list(lines) == ["data.dataset"]
    assert lines["data.dataset"].startswith("'x' is unknown; choose cifar10, ")


def test_a_stored_scenario_whose_dataset_is_gone_can_still_be_read():
    stored = {"data": {"dataset": "gone", "meta_per_class": 7, "test_size": 90}}
    scenario = Scenario.model_validate(stored)
    assert scenario.as_json()["data"]["meta_per_class"] == 7
    with pytest.raises(UserError, match="'gone' is not on this machine") as error:
        scenario.prepared(Path("nowhere"))
    assert "\n" not in str(error.value)


# -- the meta set


@pytest.mark.parametrize(
    ("data", "per_class"),
    [
        ({"dataset": "cifar10"}, 300),
        ({"dataset": "cifar100"}, 30),
        ({"dataset": "fashion-mnist"}, 360),
        ({"dataset": "fashion-mnist", "imbalance": {"factor": 50}}, 360),
        ({"dataset": "fashion-mnist", "train_size": 8000}, 48),
        ({"dataset": "fashion-mnist", "train_size": 1000}, 20),
        ({"dataset": "fashion-mnist", "train_size": 57_900, "val_per_class": 100}, 110),
        ({"dataset": "digits"}, 20),
        ({"dataset": "digits", "val_per_class": 110}, 20),
        ({"dataset": "svhn", "meta_per_class": 7}, 7),
    ],
)
def test_the_meta_set_has_six_percent_of_the_images_as_released_and_is_stored(data, per_class):
    scenario = new_scenario({"data": data})
    assert with_meta_set(scenario.as_json())["data"]["meta_per_class"] == per_class
    assert scenario.training_counts().min() > 0


LARGE = [name for name, source in datasets().items() if min(source.train_counts) >= 400]


@pytest.mark.parametrize("name", LARGE)
def test_the_share_is_that_of_the_images_and_not_of_what_is_left_of_them(name):
    source = datasets()[name]
    meta = new_scenario({"data": {"dataset": name}}).data.held_out.meta
    assert meta * len(source.class_names) / sum(source.train_counts) == pytest.approx(
        0.06, abs=1e-3
    )


@given(
    train_size=st.integers(10, 59_000),
    val_per_class=st.integers(1, 500),
)
def test_every_scenario_that_is_accepted_has_its_images(train_size, val_per_class):
    data = {"dataset": "fashion-mnist", "train_size": train_size, "val_per_class": val_per_class}
    try:
        scenario = new_scenario({"data": data})
    except ValidationError:
        assume(False)
    held = scenario.data.held_out
    assert train_size + 10 * sum(held) <= 60_000
    stored = Scenario.model_validate(scenario.as_json())
    assert stored.digest() == scenario.digest()
    assert stored.data.held_out == held


@pytest.mark.parametrize("name", [name for name in datasets() if name not in LARGE])
def test_a_small_dataset_gives_no_more_than_it_says_itself(name):
    source = datasets()[name]
    assert new_scenario({"data": {"dataset": name}}).data.held_out.meta == source.held_out_per_class


def test_the_datasets_own_number_written_out_is_the_same_scenario_as_left_out_before():
    for name, source in datasets().items():
        before = Scenario.model_validate({"data": {"dataset": name}})
        written = {"dataset": name, "meta_per_class": source.held_out_per_class}
        assert new_scenario({"data": written}).digest() == before.digest()


# -- what is refused

REFUSED = {
    "a ball with grey in it": ({"threat": {"epsilon": 0.5}}, "threat.epsilon", "less than 0.5"),
    "an l2 ball with grey in it": (
        {"threat": {"norm": "l2", "epsilon": 4}},
        "threat.epsilon",
        "less than 4",
    ),
    "grey in the ball of the test": (
        {"evaluation": {"epsilon": 0.9}},
        "evaluation.epsilon",
        "less than 0.5",
    ),
    "steps that end inside": (
        {"threat": {"num_steps": 5, "step_size": "1/255"}},
        "threat.step_size",
        "reaches 5/255 in 5 steps, and the radius is 8/255; allowed: 1.6/255 to 16/255",
    ),
    "a step across the ball": (
        {"threat": {"norm": "l2", "epsilon": 0.1, "step_size": 0.3}},
        "threat.step_size",
        "longer than the ball",
    ),
    "steps of the test that end inside": (
        {"evaluation": {"step_size": "0.3/255"}},
        "evaluation.step_size",
        "reaches 6/255",
    ),
    "steps on validation data that end inside": (
        {"evaluation": {"val_step_size": "0.5/255"}},
        "evaluation.val_step_size",
        "reaches 5/255",
    ),
    "a step that the test's own radius outgrows": (
        {"threat": {"epsilon": "1/255"}, "evaluation": {"epsilon": "60/255", "step_size": "1/255"}},
        "evaluation.step_size",
        "the radius is 60/255",
    ),
    "more imbalance than images": (
        {"data": {"imbalance": {"factor": 1000}}},
        "data.imbalance.factor",
        "99 training images * 1 to 99",
    ),
    "imbalance of a subset": (
        {"data": {"train_size": 200, "imbalance": {"factor": 100}}},
        "data.imbalance.factor",
        "1 to 19",
    ),
    "a training set without a class": (
        {"data": {"dataset": "svhn", "train_size": 10}},
        "data.train_size",
        "'9' without an image * 11 to 71257",
    ),
    "a test set without a class": (
        {"data": {"dataset": "svhn", "test_size": 11}},
        "data.test_size",
        "'9' without an image * 12 to 26032",
    ),
    "a milestone that is never passed": (
        {"training": {"schedule": "multistep", "epochs": 10, "milestones": [0.5, 0.95]}},
        "training.milestones",
        "one is never passed * 1 to 9",
    ),
    "two milestones at once": (
        {"training": {"schedule": "multistep", "epochs": 10, "milestones": [0.51, 0.55]}},
        "training.milestones",
        "two fall after the same epoch",
    ),
    "a milestone in the warm-up": (
        {
            "training": {
                "schedule": "multistep",
                "epochs": 10,
                "warmup_epochs": 3,
                "milestones": [0.2],
            }
        },
        "training.milestones",
        "3 epochs of warm-up * 4 to 9",
    ),
    "milestones of a run of one epoch": (
        {"training": {"schedule": "multistep", "epochs": 1}},
        "training.milestones",
        "1 epoch of the method * an empty list",
    ),
    "cycles without steps": (
        {"training": {"schedule": "cyclic", "epochs": 2, "num_cycles": 9}},
        "training.num_cycles",
        "18 steps * 1 to 6",
    ),
    "a cycle without steps": (
        {"training": {"schedule": "cyclic", "epochs": 1}, "data": {"train_size": 20}},
        "training.schedule",
        "1 step * constant, cosine",
    ),
    "patience that never ends": (
        {"training": {"epochs": 10, "warm_start_epochs": 3, "patience": 6}},
        "training.patience",
        "7 epochs of the method * 1 to 5",
    ),
    "a rate without its warm start": (
        {"training": {"warm_start_lr": 0.1}},
        "training.warm_start_lr",
        "without warm_start_epochs * leave it out",
    ),
    "a batch larger than the set": (
        {"training": {"batch_size": 2000}},
        "training.batch_size",
        "1037 training images * 8 to 1037",
    ),
    "a meta batch larger than the set": (
        {"data": {"meta_per_class": 3}, "method": {"meta_batch_size": 31}},
        "method.meta_batch_size",
        "30 images (3 a class) * 2 to 30",
    ),
    "a rule after the end": (
        {"method": {"name": "faal", "fairness_from": 0.95}, "training": {"epochs": 10}},
        "method.fairness_from",
        "10 epochs of the method * 0 to 0.9",
    ),
    "an average after the end": (
        {"method": {"name": "cfa", "average_from": 1}},
        "method.average_from",
        "30 epochs of the method",
    ),
}


@pytest.mark.parametrize(("tables", "path", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_fields_that_do_not_go_together_are_one_line_with_what_is_allowed(tables, path, says):
    lines = mistakes_of(tables)
    assert list(lines) == [path]
    assert "\n" not in lines[path]
    assert "allowed: " in lines[path]
    for piece in says.split(" * "):
        assert piece in lines[path], lines[path]


@pytest.mark.parametrize("tables", [case[0] for case in REFUSED.values()], ids=REFUSED.keys())
def test_a_stored_scenario_that_would_be_refused_today_is_still_read(tables):
    old = Scenario.model_validate(tables)
    assert Scenario.model_validate(old.as_json()) == old


def test_all_such_mistakes_are_told_at_once():
    lines = mistakes_of({"threat": {"epsilon": 0.7}, "training": {"patience": 99}})
    assert set(lines) == {"threat.epsilon", "training.patience"}


# -- what is stored


@pytest.mark.parametrize("method", METHODS.names())
def test_a_scenario_of_defaults_is_stored_as_ever(method):
    tables = {"method": {"name": method}, "data": {"meta_per_class": 20}}
    assert new_scenario(tables).as_json() == Scenario.model_validate(tables).as_json()
    assert "val_step_size" not in new_scenario(tables).as_json()["evaluation"]
