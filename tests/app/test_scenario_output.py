"""A scenario is written as TOML that reads back, and as a table in words."""

from app.scenario.toml_out import as_table, as_toml
from engine.scenario import Scenario


def test_a_scenario_is_written_as_toml_that_reads_back():
    import tomllib

    scenario = Scenario(name='a "name" \\ with = [odd] # signs')
    read = tomllib.loads(as_toml(scenario.as_json()))
    assert Scenario.model_validate(read) == scenario


def test_the_table_of_a_scenario_says_every_setting_in_words():
    table = as_table(Scenario().as_json()).set_index("setting")
    assert table.loc["threat.epsilon", "value"] == "8/255"
    assert table.loc["evaluation.epsilon", "value"] == "the threat model's"
    assert table.loc["method.beta", "meaning"]
    assert as_table({"gone": {"old": 1}}).loc[0, "value"] == "1"
