"""A study's table: what its cells are, and what is said of one that cannot be."""

from itertools import product

import pytest

from engine.errors import UserError
from engine.new_scenario import new_scenario
from engine.study import cells, read_study

NOISE = {"data": {"noise": {"kind": "pair", "ratio": 0.2}}}
TABLE = {
    "name": "S",
    "seeds": [3, 1],
    "base": {"data": {"dataset": "digits"}, "training": {"epochs": 4, "lr": 0.05}},
    "scenarios": {"standard": {}, "noise": NOISE},
    "methods": {
        "trades": {"beta": 1.5},
        "wat, slow": {"name": "wat", "eta": 0.1, "training": {"lr": 0.01, "with_meta": True}},
    },
}


def lines_of(**changes):
    with pytest.raises(UserError) as refused:
        cells(read_study({**TABLE, **changes}))
    return str(refused.value).split("\n")


def test_cells_are_every_method_in_every_scenario_at_every_seed():
    found = cells(read_study(TABLE))
    expected = list(product([3, 1], ["standard", "noise"], ["trades", "wat, slow"]))
    assert [(c.seed, c.scenario_name, c.method_name) for c in found] == expected
    assert [c.scenario.seed for c in found] == [seed for seed, _, _ in expected]
    assert found[0].scenario.name == "trades, standard"


def test_a_cell_is_base_then_scenario_then_method_the_last_word_counts():
    found = {(c.scenario_name, c.method_name): c.scenario for c in cells(read_study(TABLE))}
    by_hand = new_scenario(
        {
            "name": "wat, slow, noise",
            "seed": 1,
            "data": {"dataset": "digits", "noise": {"kind": "pair", "ratio": 0.2}},
            "training": {"epochs": 4, "lr": 0.01, "with_meta": True},
            "method": {"name": "wat", "eta": 0.1},
        }
    )
    assert found["noise", "wat, slow"] == by_hand
    assert found["standard", "trades"].method.beta == 1.5
    assert found["standard", "trades"].training.lr == 0.05


def test_a_study_without_scenarios_has_the_one_of_its_base():
    table = {key: value for key, value in TABLE.items() if key != "scenarios"}
    found = cells(read_study(table))
    assert len(found) == 4
    assert found[0].title == "trades"


def test_another_backbone_takes_no_fields_of_the_one_in_base():
    base = {**TABLE["base"], "model": {"name": "small-cnn", "width": 4}}
    methods = {"trades": {}, "other": {"name": "trades", "model": {"name": "preact-resnet18"}}}
    found = cells(read_study({**TABLE, "base": base, "methods": methods}))
    assert found[0].scenario.model.width == 4
    assert found[1].scenario.model.name == "preact-resnet18"
    assert found[1].scenario.model.width != 4


REFUSED = {
    "a method that is not": ({"methods": {"magic": {}}}, "magic, standard: method", "'magic'"),
    "a field that a method lacks": (
        {"methods": {"trades": {"eta": 1}}},
        "trades, standard: method.eta",
        "unknown key",
    ),
    "a value out of range": (
        {"methods": {"wat": {"eta": -1}}},
        "wat, standard: method.eta",
        "allowed: ",
    ),
    "a scenario that cannot be": (
        {"scenarios": {"x": {"data": {"train_size": 5}}}},
        "trades, x: data.train_size",
        "allowed: ",
    ),
    "a seed twice": ({"seeds": [1, 2, 1]}, "seeds", "1 stands there twice"),
    "a seed that is none": ({"seeds": [-1]}, "seeds", "-1"),
    "no seed": ({"seeds": []}, "seeds", ""),
    "no method": ({"methods": {}}, "methods", ""),
    "no name": ({"name": ""}, "name", ""),
    "a method in base": ({"base": {"method": {"name": "wat"}}}, "base", "'method' does not go"),
    "a seed in a scenario": ({"scenarios": {"x": {"seed": 3}}}, "scenarios", "'seed' does not go"),
    "a table that is none": ({"scenarios": {"x": {"dta": {}}}}, "scenarios", "'dta' does not go"),
    "a key that is none": ({"sedes": [1]}, "sedes", "unknown key"),
    "a seed that is yes": ({"seeds": [True]}, "seeds", "True is not valid"),
    "a seed with a fraction": ({"seeds": [0.5]}, "seeds", "0.5 is not valid"),
    "seeds that are no list": ({"seeds": "0..3"}, "seeds", "write a list"),
    "a name that hides something": ({"name": "a\0b"}, "name", "cannot be shown"),
    "a method without a name": ({"methods": {"": {"name": "wat"}}}, "methods", "[methods.NAME]"),
    "scenarios that are no table": ({"scenarios": []}, "scenarios", "write a table of fields"),
    "a method that is no table": ({"methods": {"wat": 3}}, "methods", "3"),
}


@pytest.mark.parametrize(("changes", "field", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_a_mistake_is_one_line_with_cell_and_field(changes, field, says):
    lines = lines_of(**changes)
    assert any(line.startswith(field) and says in line for line in lines), lines
    assert all("Traceback" not in line for line in lines)


def test_a_mistake_of_every_seed_is_told_once():
    lines = lines_of(seeds=[0, 1, 2], methods={"wat": {"eta": -1}})
    assert len(lines) == 2  # one for each scenario


def test_two_cells_that_are_the_same_run_are_refused():
    (line,) = lines_of(methods={"a": {"name": "trades"}, "b": {"name": "trades"}})
    assert line == "b, standard: is the same run as a, standard; leave one of them out"


def swept(**sweep):
    return {**TABLE, "seeds": [0], "methods": {"trades": {"beta": 1.5, "sweep": sweep}}}


def test_a_sweep_makes_a_row_of_every_combination_and_they_are_one_family():
    found = cells(read_study(swept(beta=[1.0, 6], **{"training.lr": [0.1, 0.2]})))
    of_standard = [c for c in found if c.scenario_name == "standard"]
    assert [c.method_name for c in of_standard] == [
        f"trades, beta = {beta}, training.lr = {lr}" for beta in ("1.0", "6") for lr in (0.1, 0.2)
    ]
    assert {c.family for c in found} == {"trades"}
    assert [(c.scenario.method.beta, c.scenario.training.lr) for c in of_standard] == list(
        product([1.0, 6.0], [0.1, 0.2])
    )
    assert of_standard[0].scenario.training.epochs == 4
    assert of_standard[0].scenario.name == "trades, beta = 1.0, training.lr = 0.1, standard"


def test_a_method_without_a_sweep_is_its_own_family():
    assert {c.family for c in cells(read_study(TABLE))} == {"trades", "wat, slow"}


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ({"beta": []}, "methods: trades.sweep.beta: [] is not valid; write a list"),
        ({"beta": 3}, "methods: trades.sweep.beta: 3 is not valid; write a list"),
        ({"beta": [1, 1.0]}, "methods: trades.sweep.beta: 1.0 stands there twice"),
        (3, "methods: trades.sweep is not valid; write [methods.NAME.sweep] with lists"),
        ({"betta": [1]}, "trades, betta = 1, standard: method.betta: unknown key (value 1)"),
    ],
)
def test_a_sweep_that_cannot_be_is_one_line_with_the_field(sweep, says):
    assert lines_of(methods={"trades": {"sweep": sweep}})[0] == says


@pytest.mark.parametrize("only", [3, ["x"], [{}], "noise"])
def test_scenarios_of_a_method_that_are_none_are_one_line(only):
    (line,) = lines_of(methods={"trades": {"scenarios": only}})
    assert line.startswith("methods.trades.scenarios: ")
    assert line.endswith(" is not valid; allowed: a list of 'standard', 'noise'")
