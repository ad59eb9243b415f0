import importlib
import json
import math
import tomllib
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from engine.config import Section
from engine.empty import described, empty_of
from engine.methods.base import METHODS
from engine.mistakes import allowed_values, bounds, error_lines
from engine.models.backbones.base import BACKBONES
from engine.numbers import in_255ths
from engine.scenario import Scenario


def errors_of(**tables: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as error:
        Scenario.model_validate(tables)
    return error_lines(error.value, Scenario)


WRONG = {
    "an unknown key": ({"epsilonn": 1}, "epsilonn", "unknown key (value 1)"),
    "an unknown key of a table": (
        {"threat": {"radius": 0.1}},
        "threat.radius",
        "unknown key (value 0.1)",
    ),
    "epsilon in 255ths": ({"threat": {"epsilon": 300}}, "threat.epsilon", "300 * 0 to 1"),
    "epsilon of another unit": (
        {"threat": {"epsilon": "8 px"}},
        "threat.epsilon",
        "'8 px' * at least 0",
    ),
    "a step of no length": (
        {"threat": {"step_size": 0}},
        "threat.step_size",
        "0 is not valid; allowed: more than 0",
    ),
    "no epochs": ({"training": {"epochs": 0}}, "training.epochs", "0 * whole number, 1 to 1000"),
    "half an epoch": ({"training": {"epochs": 1.5}}, "training.epochs", "1.5 * 1 to 1000"),
    "momentum of one": ({"training": {"momentum": 1}}, "training.momentum", "1 * less than 1"),
    "an unknown method": ({"method": {"name": "magic"}}, "method", "'magic' * choose * caat"),
    "an unknown backbone": ({"model": {"name": "x"}}, "model", "'x' * choose * small-cnn"),
    "a method's field": (
        {"method": {"name": "trades", "beta": -1}},
        "method.beta",
        "-1 * 0 to 100",
    ),
    "the default method's field": ({"method": {"hidden": 0}}, "method.hidden", "0 * 1 to 4096"),
    "another method's field": (
        {"method": {"name": "pgd-at", "beta": 1}},
        "method.beta",
        "unknown key (value 1)",
    ),
    "a word that is no option": (
        {"data": {"noise": {"kind": "flip3"}}},
        "data.noise.kind",
        "'flip3' * uniform, flip1, flip2, pair",
    ),
    "too many meta images": (
        {"data": {"meta_per_class": 5000}},
        "data.meta_per_class",
        "5000 * 1 to 137",
    ),
    "too many held out together": (
        {"data": {"meta_per_class": 100, "val_per_class": 50}},
        "data.val_per_class",
        "meta_per_class + val_per_class is 150; * at most 138 together",
    ),
    "too large a subset": ({"data": {"train_size": 5000}}, "data.train_size", "5000 * 10 to 1037"),
    "a subset without all classes": ({"data": {"test_size": 9}}, "data.test_size", "9 * 10 to 360"),
    "a milestone": (
        {"training": {"milestones": [0.5, 40]}},
        "training.milestones",
        "[0.5, 40.0] * between 0 and 1",
    ),
    "Nesterov without momentum": (
        {"training": {"momentum": 0, "nesterov": True}},
        "training.nesterov",
        "true * momentum 0",
    ),
    "a negative seed": ({"seed": -1}, "seed", "-1 * 0 to 2147483647"),
    "a word for a table": ({"method": "caat"}, "method", "'caat' * write a table"),
    "a list for a name": ({"method": {"name": ["caat"]}}, "method", "*"),
    "a number for a table": ({"training": 3}, "training", "3 * write a table"),
}


@pytest.mark.parametrize(("tables", "path", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_one_line_with_field_value_and_what_is_allowed(tables, path, says):
    lines = errors_of(**tables)
    assert list(lines) == [path]
    assert "\n" not in lines[path]
    rest = lines[path]
    for piece in says.split(" * "):
        piece = piece.removesuffix(" *").removeprefix("* ")
        assert piece == "*" or piece in rest, lines[path]


def test_every_mistake_of_a_scenario_is_told_at_once():
    lines = errors_of(threat={"epsilon": 300}, training={"epochs": 0}, method={"beta": -1})
    assert set(lines) == {"threat.epsilon", "training.epochs", "method.beta"}


def test_a_long_value_is_cut():
    assert (
        len(errors_of(data={"dataset": "digits", "train_size": "9" * 9000})["data.train_size"])
        < 200
    )


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, "nan", "inf", "1e999", "1/0"])
@pytest.mark.parametrize(
    ("table", "field"), [("threat", "epsilon"), ("training", "lr"), ("evaluation", "epsilon")]
)
def test_what_is_no_finite_number_is_refused(table, field, number):
    assert f"{table}.{field}" in errors_of(**{table: {field: number}})


def test_a_huge_exponent_is_refused_at_once():
    assert "threat.epsilon" in errors_of(threat={"epsilon": "1e999999999"})


@pytest.mark.parametrize("text", ["8/255", " 8 / 255 ", 8 / 255, "0.03137254901960784"])
def test_a_fraction_is_the_number_that_it_stands_for(text):
    assert Scenario(threat={"epsilon": text}) == Scenario(threat={"epsilon": 8 / 255})
    assert Scenario(evaluation={"epsilon": text}).evaluation.epsilon == 8 / 255


def test_a_pixel_distance_is_written_as_people_write_it():
    assert in_255ths(8 / 255) == "8/255"
    assert in_255ths(2.5 / 255) == "2.5/255"
    assert in_255ths(0) == "0/255"


def scenarios() -> list[Scenario]:
    made = [Scenario(method={"name": name}) for name in METHODS.names()]
    made += [Scenario(model={"name": name}) for name in BACKBONES.names()]
    return [*made, Scenario(threat={"epsilon": "1/3"}, training={"milestones": [0.1, 0.7]})]


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda s: f"{s.method.name}-{s.model.name}")
def test_a_scenario_survives_a_round_through_json(scenario):
    text = json.dumps(scenario.as_json())
    again = Scenario.model_validate(json.loads(text))
    assert again == scenario
    assert again.digest() == scenario.digest()
    assert type(again.method) is type(scenario.method)


def test_a_backbone_is_called_backbone_or_name():
    wide = {"width": 3}
    by_name = Scenario(model={"name": "preact-resnet18", **wide})
    assert Scenario(model={"backbone": "preact-resnet18", **wide}) == by_name
    assert by_name.model.name == "preact-resnet18"
    assert (
        "unknown key" in errors_of(model={"name": "small-cnn", "backbone": "x"})["model.backbone"]
    )


def test_everything_but_the_name_changes_the_digest():
    plain = Scenario()
    assert plain.digest() == Scenario(name="another").digest()
    others = [
        Scenario(seed=1),
        Scenario(training={"lr": 0.051}),
        Scenario(method={"name": "trades"}),
        Scenario(method={"temperature": 0.1}),
        Scenario(model={"width": 17}),
        Scenario(data={"noise": {"ratio": 0.1}}),
        Scenario(evaluation={"num_steps": 21}),
    ]
    assert len({plain.digest(), *(other.digest() for other in others)}) == 8


def test_the_scenario_file_of_the_manual_is_read():
    text = """
        name = "fashion, noisy"
        seed = 0
        [data]
        dataset = "fashion-mnist"
        train_size = 6000
        [data.noise]
        kind = "pair"
        ratio = 0.2
        [data.imbalance]
        factor = 10
        [threat]
        norm = "linf"
        epsilon = "8/255"
        [model]
        backbone = "small-cnn"
        [method]
        name = "caat"
        bounds = "remargin"
        [training]
        epochs = 30
        [evaluation]
        attack = "pgd"
    """
    scenario = Scenario.model_validate(tomllib.loads(text))
    assert scenario.data.noise.ratio == 0.2
    assert scenario.method.name == "caat"
    assert scenario.model.name == "small-cnn"


for name in ("engine.evaluation.masking", "engine.theory.mixture", "engine.evaluation.suite"):
    importlib.import_module(name)  # tables that no scenario has


def sections(model: type[BaseModel] = Section) -> list[type[BaseModel]]:
    """The engine's own; another test's section is its own business."""
    found = [more for child in model.__subclasses__() for more in (child, *sections(child))]
    return [section for section in found if section.__module__.startswith("engine.")]


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_field_says_what_it_is(section):
    for name, field in section.model_fields.items():
        is_table = isinstance(field.default, BaseModel) or field.default_factory
        declared = [base.model_fields.get(name) for base in section.__mro__[:2]]
        said = any(found.description for found in declared if found)
        assert is_table or said, f"{section.__name__}.{name}"
        assert section.__doc__


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_a_field_that_may_be_left_out_says_what_then_stands_for_it(section):
    """As a mark of the field, which forms read; its description has no word of it."""
    for name, field in section.model_fields.items():
        if type(None) in get_args(field.annotation):
            assert empty_of(field), f"{section.__name__}.{name}"
        assert "empty" not in (field.description or "").lower(), f"{section.__name__}.{name}"


def test_a_json_schema_describes_a_field_as_a_form_does():
    fields, caat = METHODS["caat"].model_fields, METHODS["caat"].model_json_schema()["properties"]
    assert caat["meta_lr"]["description"] == described(fields["meta_lr"])
    assert caat["meta_lr"]["description"].endswith("; empty is 0.01, or 0.0001 as released")
    assert caat["beta"]["description"] == described(fields["beta"]) == fields["beta"].description
    data = Scenario.model_json_schema()["$defs"]["DataConfig"]["properties"]
    assert data["train_size"]["description"].endswith("images; empty takes all")


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_number_has_a_lower_bound_in_words(section):
    for name, field in section.model_fields.items():
        if field.annotation in (int, float, int | None, float | None):
            assert bounds(field)[0] is not None, f"{section.__name__}.{name}"
            assert allowed_values(field)


def test_a_scenario_cannot_be_changed():
    with pytest.raises(ValidationError):
        Scenario().seed = 3


def test_weights_are_not_averaged_by_two_rules_at_once():
    values = {"method": {"name": "cfa"}, "training": {"ema_decay": 0.9}}
    with pytest.raises(ValidationError) as error:
        Scenario.model_validate(values)
    (line,) = error_lines(error.value, Scenario).items()
    assert line[0] == "training.ema_decay"
    assert "0.9 is not valid with cfa" in line[1]
    assert "method.average_decay" in line[1]
