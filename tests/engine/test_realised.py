"""What a scenario's fields lead to: steps that reach the edge, epochs, rates and meta steps."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.attacks.pgd import Pgd
from engine.data.preparation import training_counts
from engine.evaluation.evaluate import attack_of
from engine.methods.base import METHODS
from engine.new_scenario import new_scenario
from engine.realised import realised
from tests.engine.mistakes import tried


def realised_of(**tables: Any) -> dict[str, Any]:
    scenario = new_scenario(tables)
    return realised(scenario, training_counts(scenario.data, scenario.seed))


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


@pytest.mark.parametrize("name", METHODS.names())
def test_a_method_learns_from_meta_images_exactly_if_it_takes_batches_of_them(name):
    takes_batches = "meta_batch_size" in METHODS[name].model_fields
    assert (METHODS[name]().meta_steps(100) > 0) == takes_batches


def test_a_few_steps_of_an_evaluation_reach_the_edge_of_its_ball():
    assert Pgd(epsilon=0.1, num_steps=2).reaching().step == 0.05
    assert Pgd(epsilon=0.1, num_steps=40).reaching().step == pytest.approx(0.025)
    with pytest.raises(ValueError, match=r"2 of 0\.01 do not reach .* at least 10"):
        Pgd(epsilon=0.1, num_steps=2, step_size=0.01).reaching()
