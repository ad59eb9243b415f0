"""The form has every field of a scenario, says mistakes beside them, and gives back its values."""

from collections.abc import Iterator
from typing import Annotated

import pytest
import streamlit as st
from pydantic import BaseModel, Field, ValidationError

from app.forms import session as answering
from app.forms.fields import Place, places
from app.forms.presets import PRESETS
from app.forms.session import answers, as_value, as_widget, every_field, fill
from engine.config import Section
from engine.empty import Empty
from engine.methods.base import METHODS
from engine.models.backbones.base import BACKBONES
from engine.scenario import Scenario

WIDGETS = ("selectbox", "multiselect", "text_input", "toggle")


def drawn_keys(page) -> set[str]:
    return {widget.key for kind in WIDGETS for widget in page.get(kind) if widget.key}


def paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for place in places(model, prefix, "key"):
        if place.kind == "section":
            yield from paths(place.model, place.path)
        else:
            yield place.path


def test_every_field_of_a_scenario_has_its_widget(open_page):
    keys = drawn_keys(open_page("new_run"))
    for path in paths(Scenario):
        assert keys & {f"scenario.{path}", f"scenario.{path}.name", f"scenario.{path}.names"}


def test_every_method_is_on_the_menu_and_brings_its_own_fields(open_page):
    page = open_page("new_run")
    page.multiselect(key="scenario.method.names").set_value(METHODS.names()).run()
    assert not page.exception
    keys = drawn_keys(page)
    for name in METHODS.names():
        own = set(METHODS[name].model_fields) - {"name"}
        assert {f"scenario.method[{name}].{field}" for field in own} <= keys


def test_every_backbone_is_on_the_menu_and_brings_its_own_fields(open_page):
    page = open_page("new_run")
    for name in BACKBONES.names():
        page.selectbox(key="scenario.model.name").select(name).run()
        assert not page.exception
        own = set(BACKBONES[name].model_fields) - {"name"}
        assert {f"scenario.model[{name}].{field}" for field in own} <= drawn_keys(page)


def test_a_mistake_stands_beside_its_field_and_nothing_is_queued(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="scenario.threat.epsilon").input("300/255").run()
    said = [text.value for text in page.markdown if "material/error" in text.value]
    assert len(said) == 1
    assert "allowed\\: 0 to 1" in said[0]
    assert any(e.label == "Threat (1 mistake)" for e in page.expander)
    page.button(key="launch").click().run()
    assert page.error[0].value == "Nothing was queued."
    assert not studio.runs()


def plug_in_fields(place: Place) -> Iterator[Place]:
    for name in place.registry.names():
        yield from answering.plugin_fields(place, name, place.registry[name])


def fields_that_can_be_wrong(model: type[BaseModel], path: str = "", key: str = "scenario"):
    """Yield every field of every table and plug-in that takes more than yes or no."""
    for place in places(model, path, key):
        if place.kind == "section":
            yield from fields_that_can_be_wrong(place.model, place.path, place.key)
        elif place.kind == "plugin":
            yield from plug_in_fields(place)
        else:
            yield place


FIELDS = [
    place
    for model in (Scenario, answering.Seeds)
    for place in fields_that_can_be_wrong(model)
    if place.kind != "bool"
]


def bad_answer(place: Place) -> object:
    low, high = place.edges
    match place.kind:
        case "int" | "float":
            outside = high + 1 if high is not None else low - 1
            return str(int(outside) if place.kind == "int" else float(outside))
        case "pixels":
            return "a lot"
        case "text":
            return "x" * 4097  # longer than any name or path
        case _:
            return "nonsense"


def plug_in_of(place: Place) -> str | None:
    return place.key.partition("[")[2].partition("]")[0] or None


@pytest.mark.parametrize("place", FIELDS, ids=lambda place: place.key)
def test_a_bad_value_of_any_field_is_told_with_what_is_allowed(place, monkeypatch):
    session = {place.key: bad_answer(place)}
    if plug_in_of(place):
        kind, name = place.path.partition(".")[0], plug_in_of(place)
        session |= {"scenario.method.names": [name]} if kind == "method" else {}
        session |= {"scenario.model.name": name} if kind == "model" else {}
    monkeypatch.setattr(answering, "st", type("session", (), {"session_state": session}))
    scenarios, errors = answering.validated()
    assert not scenarios
    assert any(word in errors[place.path] for word in ("allowed", "choose")), errors


def test_every_bad_number_or_text_stands_beside_its_field_and_is_kept(studio, open_page):
    page = open_page("new_run")
    page.multiselect(key="scenario.method.names").set_value(METHODS.names()).run()
    wrong = {}
    by_key = {widget.key: widget for widget in page.text_input}
    for place in FIELDS:
        if place.key in by_key:
            wrong[place.key] = bad_answer(place)
            by_key[place.key].set_value(bad_answer(place))
    page.button(key="launch").click().run()
    assert not page.exception
    said = [text.value for text in page.markdown if "material/error" in text.value]
    assert len(said) == len(wrong) > 90
    assert all("allowed" in text or "choose" in text for text in said)
    kept = {widget.key: widget.value for widget in page.text_input}
    assert wrong == {key: kept[key] for key in wrong}
    assert page.error[0].value == "Nothing was queued."
    assert not studio.runs()


def test_without_a_method_nothing_can_be_launched(studio, open_page):
    page = open_page("new_run")
    page.multiselect(key="scenario.method.names").set_value([]).run()
    page.button(key="launch").click().run()
    assert page.error[0].value == "Nothing was queued."
    assert any("choose one or several" in caption.value for caption in page.caption)
    assert not studio.runs()


def test_a_mistake_in_one_of_several_methods_stands_below_that_method(studio, open_page):
    page = open_page("new_run")
    page.multiselect(key="scenario.method.names").set_value(["trades", "mart"])
    page.text_input(key="scenario.num_seeds").input("1").run()
    page.text_input(key="scenario.method[mart].beta").input("-1.0").run()
    said = [text.value for text in page.markdown if "material/error" in text.value]
    assert len(said) == 1
    assert any("method[mart].beta" in c.value.replace("\\", "") for c in page.caption)
    page.button(key="launch").click().run()
    assert not studio.runs()


SCENARIOS = [preset.changes for preset in PRESETS.values()] + [
    {"method": {"name": name}} for name in METHODS.names()
]
SCENARIOS.append({"method": {"name": "caat", "protocol": "as-released", "meta_every": 7}})


@pytest.mark.parametrize("changes", SCENARIOS, ids=str)
def test_what_is_filled_in_comes_back_unchanged(changes, monkeypatch):
    monkeypatch.setattr(answering, "st", type("session", (), {"session_state": {}}))
    scenario = Scenario.model_validate(changes)
    fill(scenario)
    assert Scenario.model_validate(answers()) == scenario


def test_an_untouched_form_is_the_default_scenario(monkeypatch):
    monkeypatch.setattr(answering, "st", type("session", (), {"session_state": {}}))
    assert Scenario.model_validate(answers()) == Scenario()
    assert {place.path for place in every_field()} >= {"threat.epsilon", "method.beta"}


class Odd(Section):
    """A table with one field of every sort."""

    some: Annotated[int | None, Empty("seven")] = Field(None, ge=1, description="A number")
    many: Annotated[int | None, Empty("all", "takes")] = Field(None, description="How many")
    text: str = "abc"
    shares: tuple[float, ...] = (0.1, 0.2)


def odd_places() -> dict[str, Place]:
    return {place.name: place for place in places(Odd, "odd", "key")}


def test_a_field_says_in_its_help_what_its_placeholder_says():
    some, many = odd_places()["some"], odd_places()["many"]
    assert some.is_optional
    assert (some.empty_means, many.empty_means) == ("seven", "all")
    assert some.help.startswith("A number; empty is seven")
    assert many.help.startswith("How many; empty takes all")
    assert odd_places()["text"].help.startswith("Text")


def test_a_list_of_numbers_is_written_and_read_back():
    place = odd_places()["shares"]
    assert as_value(place, as_widget(place, (0.1, 0.2))) == [0.1, 0.2]
    with pytest.raises(ValidationError):
        Odd(shares=as_value(place, "0.1, x"))


def test_session_keys_of_the_form_do_not_collide():
    assert not st.session_state.get("scenario")
    keys = [place.key for place in every_field()]
    assert len(keys) == len(set(keys))


def test_class_prices_are_a_menu_and_a_rate_that_they_do_not_read_is_told_beside_it(open_page):
    page = open_page("new_run")
    key = "scenario.method[caat]."
    menu = page.selectbox(key=f"{key}prices")
    assert menu.label == "Class prices"
    assert menu.options == ["multipliers", "hedge", "group-dro", "none"]
    assert page.text_input(key=f"{key}eta").placeholder == "0.1"
    assert page.toggle(key=f"{key}normalise_prices").value
    assert not page.toggle(key=f"{key}shrink").value
    page.text_input(key=f"{key}eta").set_value("0.3")
    for kind, mistakes in (("multipliers", 1), ("hedge", 0), ("group-dro", 0), ("none", 1)):
        page.selectbox(key=f"{key}prices").select(kind).run()
        assert not page.exception
        said = [text.value for text in page.markdown if "material/error" in text.value]
        assert len(said) == mistakes
        assert all(f"with prices {kind}" in text for text in said)
