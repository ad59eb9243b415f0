import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.attacks.pgd import Pgd
from engine.data.datasets.base import datasets
from engine.data.preparation import (
    DataConfig,
    prepare,
    require_every_label,
    smallest_subset,
    stratified_counts,
    training_counts,
)
from engine.errors import UserError
from engine.evaluation.evaluate import attack_of
from engine.methods.base import METHODS
from engine.mistakes import error_lines
from engine.new_scenario import new_scenario
from engine.perturbation.norms import BALLS, default_epsilon
from engine.realised import realised
from engine.scenario import Scenario

NOWHERE = Path("not-used")


def mistakes_of(tables: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as error:
        new_scenario(tables)
    return error_lines(error.value, Scenario)


def tried(tables: dict[str, Any]) -> tuple[Scenario | None, dict[str, str]]:
    """Return the scenario, or its mistakes."""
    try:
        return new_scenario(tables), {}
    except ValidationError as error:
        return None, error_lines(error, Scenario)


def realised_of(**tables: Any) -> dict[str, Any]:
    scenario = new_scenario(tables)
    return realised(scenario, training_counts(scenario.data, scenario.seed))


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


# -- what is derived and shown


@pytest.mark.parametrize("method", METHODS.names())
def test_a_scenario_of_defaults_is_stored_as_ever(method):
    tables = {"method": {"name": method}}
    assert new_scenario(tables).as_json() == Scenario.model_validate(tables).as_json()
    assert "val_step_size" not in new_scenario(tables).as_json()["evaluation"]


@given(
    training=st.integers(1, 30),
    test=st.integers(1, 30),
    validation=st.integers(1, 30),
    epsilon=st.floats(1e-4, 0.49),
    own=st.none() | st.floats(1e-4, 0.49),
)
@settings(max_examples=100, deadline=None)
def test_steps_of_no_length_of_their_own_reach_the_edge_of_the_ball(
    training, test, validation, epsilon, own
):
    scenario = new_scenario(
        {
            "threat": {"epsilon": epsilon, "num_steps": training},
            "evaluation": {"num_steps": test, "val_num_steps": validation, "epsilon": own},
        }
    )
    assert scenario.threat.step * training >= epsilon * (1 - 1e-9)
    for split in ("test", "validation"):
        attack = attack_of(scenario.evaluation, scenario.threat, split=split)
        assert attack.step * attack.num_steps >= attack.epsilon * (1 - 1e-9)
        if attack.num_steps >= 4:
            assert attack.step == pytest.approx(attack.epsilon / 4)
    assert new_scenario(scenario.as_json()) == scenario


@given(
    epochs=st.integers(1, 12),
    warm_start=st.integers(0, 5),
    milestones=st.lists(st.floats(0.01, 0.99), max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_the_rate_falls_once_at_every_milestone_where_it_is_said_to(epochs, warm_start, milestones):
    assume(warm_start < epochs)
    training = {
        "epochs": epochs,
        "warm_start_epochs": warm_start,
        "schedule": "multistep",
        "milestones": milestones,
        "lr": 1,
    }
    scenario, lines = tried({"training": training})
    if scenario is None:
        assert list(lines) == ["training.milestones"]
        return
    told = realised(scenario, training_counts(scenario.data, 0))["learning_rate_drops"]
    rates = {epoch: scenario.training.lr_at(epoch) for epoch in range(warm_start + 1, epochs + 1)}
    falls = [e - 1 for e in rates if e - 1 in rates and rates[e] < rates[e - 1]]
    assert sorted(told) == falls
    assert all(rates[e + 1] == pytest.approx(rates[e] / 10) for e in falls)


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("epochs", [2, 3, 30])
def test_every_rule_of_a_method_begins_within_a_run_of_more_than_one_epoch(method, epochs):
    found = realised_of(method={"name": method}, training={"epochs": epochs})
    for field in {"fairness_from", "average_from", "warm_up"} & METHODS[method].model_fields.keys():
        assert 1 <= found[f"{field}_epoch"] <= epochs


def test_a_rule_that_a_run_of_one_epoch_has_no_time_for_is_shown_as_never():
    assert realised_of(method={"name": "dafa"}, training={"epochs": 1})["warm_up_epoch"] is None


def test_the_meta_batch_and_steps_are_shown_as_they_are():
    tiny = realised_of(data={"meta_per_class": 3})
    assert (tiny["meta_batch_size"], tiny["meta_steps_per_epoch"]) == (30, 3)
    released = realised_of(method={"protocol": "as-released"})
    assert released["meta_steps_per_epoch"] == 0  # every 50th of 9 steps
    assert "meta_batch_size" not in realised_of(method={"name": "trades"})


# -- data at the edges


@st.composite
def corruptions(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "train_size": draw(st.none() | st.integers(8, 60) | st.integers(60, 1037)),
        "test_size": draw(st.none() | st.integers(8, 60)),
        "meta_per_class": draw(st.none() | st.integers(1, 136)),
        "val_per_class": draw(st.none() | st.integers(1, 136)),
        "noise": {
            "kind": draw(st.sampled_from(["uniform", "flip1", "flip2", "pair"])),
            "ratio": draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 0.999])),
        },
        "imbalance": {
            "factor": draw(st.just(1.0) | st.floats(1, 130) | st.integers(1, 1000)),
            "shuffled": draw(st.booleans()),
        },
    }


FIELDS = {"train_size", "test_size", "meta_per_class", "val_per_class", "imbalance.factor"}


@given(corruptions(), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_data_are_refused_by_field_or_are_what_they_are_said_to_be(data, seed):
    scenario, lines = tried({"data": data, "seed": seed})
    if scenario is None:
        assert set(lines) <= {f"data.{name}" for name in FIELDS}
        assert not any("\n" in line for line in lines.values())
        return
    if prepare(scenario.data, seed, NOWHERE).class_counts.min() == 0:
        with pytest.raises(UserError, match=r"^data\.noise\.ratio: [^\n]* allowed: [^\n]*$"):
            require_every_label(scenario.data, seed, NOWHERE)
        return
    require_every_label(scenario.data, seed, NOWHERE)
    made = prepare(scenario.data, seed, NOWHERE)
    true = np.bincount(made.train.true_labels, minlength=10)
    given_counts = np.bincount(made.train.labels, minlength=10)
    assert true.tolist() == training_counts(scenario.data, seed).tolist()
    assert min(true.min(), given_counts.min(), np.bincount(made.test.labels).min()) >= 1
    found = realised(scenario, true)
    assert found["imbalance_factor"] == true.max() / true.min()
    asked = scenario.data.imbalance.factor
    if asked > 1:
        # What is left between the two is the rounding of the smallest class to whole images.
        assert true.max() / (true.min() + 1) < asked <= found["imbalance_factor"] * (1 + 1e-6)


def test_noise_that_empties_a_class_is_found_before_a_run_is_queued():
    config = DataConfig(train_size=10, noise={"kind": "pair", "ratio": 0.9})
    empty = [seed for seed in range(12) if prepare(config, seed, NOWHERE).class_counts.min() == 0]
    assert empty
    for seed in range(12):
        if seed in empty:
            with pytest.raises(UserError, match=f"data.noise.ratio: 0.9 .* seed {seed} "):
                require_every_label(config, seed, NOWHERE)
        else:
            require_every_label(config, seed, NOWHERE)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=12), st.data())
@settings(max_examples=80, deadline=None)
def test_from_the_smallest_subset_on_no_class_is_empty(available, data):
    counts = np.array(available)
    too_small = [s for s in range(1, sum(available)) if stratified_counts(counts, s).min() == 0]
    size = data.draw(st.sampled_from(too_small))
    least = smallest_subset(counts, size)
    sizes = range(size, sum(available) + 1)
    fit = [bool(stratified_counts(counts, s).min()) for s in sizes]
    assert all(fit[least - size :])
    assert not fit[least - size - 1]


def test_every_dataset_takes_the_smallest_subset_that_a_mistake_names():
    named = 0
    for name, source in datasets().items():
        size = len(source.class_names)
        subset = {"dataset": name, "train_size": size, "test_size": size}
        for path, line in tried({"data": subset})[1].items():
            least = int(line.rpartition("number, ")[2].partition(" to")[0])
            field = path.removeprefix("data.")
            taken = new_scenario({"data": {"dataset": name, field: least}})
            assert getattr(taken.data, field) == least
            named += 1
    assert named


# -- attacks of an evaluation


def test_a_few_steps_of_an_evaluation_reach_the_edge_of_its_ball():
    assert Pgd(epsilon=0.1, num_steps=2).reaching().step == 0.05
    assert Pgd(epsilon=0.1, num_steps=40).reaching().step == pytest.approx(0.025)
    with pytest.raises(ValueError, match=r"2 of 0\.01 do not reach .* at least 10"):
        Pgd(epsilon=0.1, num_steps=2, step_size=0.01).reaching()
