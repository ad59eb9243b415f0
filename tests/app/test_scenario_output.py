"""A scenario is written as TOML that reads back, and as a table in words."""

import tomllib

from app.scenario.toml_out import as_table, as_toml
from engine.data.config import with_meta_set
from engine.new_scenario import new_scenario
from engine.scenario import Scenario


def test_a_scenario_is_written_as_toml_that_reads_back():
    scenario = new_scenario({"name": 'a "name" \\ with = [odd] # signs'})
    read = tomllib.loads(as_toml(scenario.as_json()))
    assert new_scenario(read) == scenario


def test_a_scenario_of_before_keeps_the_meta_set_that_it_had():
    stored = Scenario.model_validate({"data": {"dataset": "fashion-mnist"}}).as_json()
    assert stored["data"]["meta_per_class"] is None
    for read in (tomllib.loads(as_toml(stored)), with_meta_set(stored)):
        again = new_scenario(read)
        assert again.data.held_out == Scenario.model_validate(stored).data.held_out
        assert again.digest() == Scenario.model_validate(stored).digest()
    table = as_table(stored).set_index("setting")
    assert table.loc["data.meta_per_class", "value"] == "100"


def test_a_scenario_of_another_version_is_written_as_it_is():
    for stored in ({}, {"data": {"dataset": "gone"}}, {"data": 3}, {"data": {}}):
        assert tomllib.loads(as_toml(stored)) == stored


def test_the_table_of_a_scenario_says_every_setting_in_words():
    table = as_table(Scenario().as_json()).set_index("setting")
    assert table.loc["threat.epsilon", "value"] == "8/255"
    assert table.loc["evaluation.epsilon", "value"] == "the threat model's"
    assert table.loc["method.beta", "meaning"]
    assert as_table({"gone": {"old": 1}}).loc[0, "value"] == "1"
