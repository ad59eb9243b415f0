"""What a form or a file shows of a number is read back as that very number."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.forms import session as answering
from app.forms.fields import Place, places
from app.forms.presets import PRESETS
from app.forms.session import (
    answers,
    as_value,
    as_widget,
    every_field,
    fill,
    fill_scenario,
    validated,
)
from app.scenario.toml_in import read_scenario
from app.scenario.toml_out import as_table, as_toml
from db.reads import queries
from engine.errors import UserError
from engine.numbers import exact_pixels, in_255ths, parse_fraction
from engine.scenario import Scenario

NUMBERS = ("int", "float", "pixels", "numbers")


def every_place(model, path: str = "", key: str = "scenario") -> Iterator[Place]:
    """Yield the fields of every table and every plug-in."""
    for place in places(model, path, key):
        if place.kind == "section":
            yield from every_place(place.model, place.path, place.key)
        elif place.kind == "plugin":
            for name in place.registry.names():
                yield from answering.plugin_fields(place, name, place.registry[name])
        else:
            yield place


FIELDS = [
    place
    for model in (Scenario, answering.Seeds)
    for place in every_place(model)
    if place.kind in NUMBERS
]
BY_KIND = {kind: [place for place in FIELDS if place.kind == kind] for kind in NUMBERS}


def values_of(place: Place) -> st.SearchStrategy:
    """Every number of a field's range that a computer holds, None where it may be empty."""
    low, high = place.edges
    reals = st.floats(low, high, allow_nan=False, allow_infinity=False)
    found = {
        "int": st.integers(low, high),
        "float": reals,
        "pixels": st.floats(0, 400) | st.integers(0, 2550).map(lambda n: n / 10 / 255),
        "numbers": st.lists(st.floats(0, 1) | st.floats(allow_nan=False, allow_infinity=False)),
    }[place.kind]
    return found | st.none() if place.is_optional else found


@given(st.sampled_from(FIELDS).flatmap(lambda place: st.tuples(st.just(place), values_of(place))))
@settings(max_examples=1500, deadline=None)
def test_what_any_field_shows_is_read_back_as_the_same_value(chosen):
    place, value = chosen
    read = as_value(place, as_widget(place, value))
    if place.kind == "pixels" and read is not None:
        read = parse_fraction(read)
    assert repr(read) == repr(value)


RADII = sorted(
    {n / 1000 for n in range(1, 101)}
    | {n / 255 for n in range(256)}
    | {n / 510 for n in range(511)}
    | {8 / 255 + 1e-17 * n for n in range(9)}
    | {0.25, 0.5, 1.0, 1.5, 2.0, 3.5, 128 / 255, 1e-4, 1e-6, 1e-9, 1e-300, 5e-324}
)


@pytest.fixture
def session(monkeypatch):
    """What the form's widgets hold, without a page."""
    held = {}
    monkeypatch.setattr(answering, "st", type("session", (), {"session_state": held}))
    return held


def test_a_clone_through_the_form_is_the_same_scenario_whatever_its_radius(session):
    for radius in RADII:
        norm = "l2" if radius >= 0.5 else "linf"
        scenario = Scenario.model_validate({"threat": {"norm": norm, "epsilon": radius}})
        fill_scenario(scenario)
        (clone,), errors = validated()
        assert not errors
        assert clone.digest() == scenario.digest(), radius


METHOD_FIELDS = [place for place in FIELDS if place.path.startswith("method.")]


@given(data=st.data())
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_clone_through_the_form_and_through_a_file_is_the_same_scenario(data, session, tmp_path):
    name = data.draw(st.sampled_from(Scenario.model_fields["method"].metadata[0].names()))
    values: dict = {"method": {"name": name}, "threat": {"norm": "l2"}}
    for place in FIELDS:
        *tables, field = place.path.split(".")
        mine = "[" not in place.key or f"[{name}]" in place.key
        if not mine or place.path == "num_seeds" or not data.draw(st.booleans()):
            continue
        table = values
        for part in tables:
            table = table.setdefault(part, {})
        table[field] = data.draw(values_of(place))
    try:
        scenario = Scenario.model_validate(values)
    except ValueError:
        return  # the fields do not go together
    session.clear()
    fill(scenario)
    assert Scenario.model_validate(answers()).digest() == scenario.digest()
    file = tmp_path / "scenario.toml"
    file.write_text(as_toml(scenario.as_json()))
    assert Scenario.model_validate(_toml(file)).digest() == scenario.digest()


def _toml(file: Path) -> dict:
    return tomllib.loads(file.read_text())


@pytest.mark.parametrize("number", [1e-9, 0.1 + 0.2, 9.999999999999999, 5e-324])
def test_a_scenario_file_gives_back_every_digit(tmp_path, number):
    scenario = Scenario.model_validate({"training": {"lr": number}})
    file = tmp_path / "scenario.toml"
    file.write_text(as_toml(scenario.as_json()))
    assert repr(read_scenario(file, []).training.lr) == repr(number)


def chosen_for(place: Place) -> dict[str, object]:
    name = place.key.partition("[")[2].partition("]")[0]
    if not name:
        return {}
    kind = place.path.partition(".")[0]
    return {f"scenario.{kind}.name": name, f"scenario.{kind}.names": [name]}


@pytest.mark.parametrize("place", FIELDS, ids=lambda place: place.key)
def test_a_decimal_comma_is_refused_beside_the_field(place, session):
    session |= {place.key: "0,05", **chosen_for(place)}
    scenarios, errors = validated()
    assert not scenarios
    assert errors[place.path] == "'0,05' is not a number; write 0.05 with a point"


@pytest.mark.parametrize(
    "text",
    ["−5", "0x10", "nan", "inf", "-inf", "1e999", "５", "1 5", "5 %", "1,000", "1.000.000", "٠٫٥"],  # noqa: RUF001
)
@pytest.mark.parametrize("place", [places[0] for places in BY_KIND.values()], ids=lambda p: p.kind)
def test_what_is_no_plain_number_is_refused_and_never_read_as_another(place, text, session):
    session |= {place.key: text, **chosen_for(place)}
    scenarios, errors = validated()
    assert not scenarios
    assert list(errors) == [place.path]
    assert "\n" not in errors[place.path]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0.5, 0.75", [0.5, 0.75]),
        ("0.5; 0.75", [0.5, 0.75]),
        ("0.5;.75;", [0.5, 0.75]),
        ("", []),
        ("0,5", None),
        ("0,5; 0,75", None),
        ("0,5, 0,75", None),
        ("0.5,1", None),
        ("0.5 0.75", None),
    ],
)
def test_a_list_is_read_only_where_its_commas_can_mean_one_thing(text, numbers):
    place = BY_KIND["numbers"][0]
    assert as_value(place, text) == (text if numbers is None else numbers)


@pytest.mark.parametrize("field", ["training.lr", "training.epochs", "threat.epsilon"])
def test_a_decimal_comma_is_refused_on_the_command_line(tmp_path, field):
    file = tmp_path / "scenario.toml"
    file.write_text("")
    with pytest.raises(UserError) as error:
        read_scenario(file, [f"{field}=0,05"])
    assert str(error.value) == f"{field}: '0,05' is not a number; write 0.05 with a point"


@pytest.mark.parametrize(
    "place", [p for p in FIELDS if p.path != "num_seeds"], ids=lambda place: place.key
)
def test_yes_and_no_are_no_numbers_in_any_field(place):
    value = [True] if place.kind == "numbers" else True
    *tables, field = place.path.split(".")
    values = {field: value} | {"name": next(iter(chosen_for(place).values()), "")}
    if not chosen_for(place):
        del values["name"]
    for table in reversed(tables):
        values = {table: values}
    with pytest.raises(ValidationError):
        Scenario.model_validate(values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,000", "'1,000' is not a number; write 1000 without a comma"),
        ("0,5", "'0,5' is not a number; write 0.5 with a point"),
        ("true", "true is not valid; allowed: a whole number, 1 to 1000"),
    ],
)
def test_what_a_count_of_epochs_might_be_is_asked_for_in_one_line(tmp_path, text, said):
    file = tmp_path / "scenario.toml"
    file.write_text("")
    with pytest.raises(UserError) as error:
        read_scenario(file, [f"training.epochs={text}"])
    assert str(error.value) == f"training.epochs: {said}"


@given(st.sampled_from([p for p in FIELDS if p.kind in ("float", "pixels")]), st.floats(1e-12, 1))
def test_the_table_of_settings_tells_a_number_to_its_last_digit(place, value):
    told = as_table({place.name: value}).loc[0, "value"]
    assert repr(parse_fraction(told)) == repr(value)


def test_an_untouched_radius_follows_the_norm_and_the_images(session):
    fill_scenario(PRESETS["standard"].scenario())
    place = next(place for place in every_field() if place.path == "threat.epsilon")
    assert answering.derived(place) == "8/255"
    session["scenario.threat.norm"] = "l2"
    assert validated()[0][0].threat.epsilon == 0.25
    assert answering.derived(place) == "0.25"
    session["scenario.data.dataset"] = "digits"
    assert validated()[0][0].threat.epsilon == 0.072


def test_a_radius_that_was_filled_in_is_not_taken_into_another_norm(session):
    fill_scenario(PRESETS["demo"].scenario())
    session["scenario.threat.norm"] = "l2"
    _, errors = validated()
    assert list(errors) == ["threat.epsilon"]
    assert "16/255 was filled in as a length in linf" in errors["threat.epsilon"]
    session["scenario.threat.epsilon"] = "0.3"
    assert validated()[0][0].threat.epsilon == 0.3
    session["scenario.threat.epsilon"] = ""
    assert validated()[0][0].threat.epsilon == 0.072


@pytest.mark.parametrize(
    ("value", "said"),
    [(8 / 255, "8/255"), (2.5 / 255, "2.5/255"), (0.031, "0.031"), (0.5, "0.5"), (2, "2")],
)
def test_a_distance_is_written_in_few_digits_and_exactly(value, said):
    assert exact_pixels(value) == in_255ths(value) == said


def test_in_a_browser_a_clone_stays_the_same_scenario_and_a_decimal_comma_is_told(studio, visit):
    settings = {
        "threat": {"epsilon": 0.031, "step_size": 0.0123456789},
        "training": {"lr": 0.1 + 0.2, "weight_decay": 1.23456789e-7, "milestones": [1 / 3, 2 / 3]},
    }
    from playwright.sync_api import expect

    old = studio.queued("Old", **settings)
    page = visit.go(f"/new?like={old}")
    rate = page.get_by_label("Learning rate", exact=True)
    expect(rate).to_have_value(repr(0.1 + 0.2), timeout=30_000)
    rate.focus()
    rate.press("Tab")
    rate.fill("0,05")
    page.get_by_label("Seed", exact=True).fill("1,5")
    page.get_by_label("Name", exact=True).first.fill("Clone")
    page.keyboard.press("Enter")
    page.get_by_text("'0,05' is not a number; write 0.05 with a point").first.wait_for()
    page.get_by_text("'1,5' is not a number; write 1.5 with a point").first.wait_for()
    rate.fill(repr(0.1 + 0.2))
    page.get_by_label("Seed", exact=True).fill("0")
    page.keyboard.press("Enter")
    page.get_by_text("to mend before this can be launched").wait_for(state="detached")
    page.locator(".st-key-launch button").click()
    page.get_by_text("Open the run").wait_for()
    with studio.database.read() as session:
        runs = {run.name: run.id for run in queries.list_runs(session)}
        clone, first = (queries.get_run(session, runs[name]) for name in ("Clone", "Old"))
    assert clone.scenario_digest == first.scenario_digest
