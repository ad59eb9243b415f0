"""The form has every field of a scenario, says mistakes beside them, and launches once."""

from collections.abc import Iterator

import pytest
import streamlit as st
from pydantic import BaseModel, Field, ValidationError

from app import answers as answering
from app.answers import answers, as_value, as_widget, every_field, fill
from app.fields import Place, places
from app.presets import PRESETS
from app.preview import class_counts_table, noise_matrix, training_counts
from app.scenario_file import as_table, as_toml
from db import queries
from engine.backbone import BACKBONES
from engine.method import METHODS
from engine.scenario import Scenario
from engine.section import Section

WIDGETS = ("selectbox", "number_input", "text_input", "toggle")


def drawn_keys(page) -> set[str]:
    return {widget.key for kind in WIDGETS for widget in page.get(kind) if widget.key}


def paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for place in places(model, prefix, "key"):
        if place.kind == "section":
            yield from paths(place.model, place.path)
        else:
            yield place.path


def runs_of(studio):
    with studio.database.read() as session:
        return queries.list_runs(session)


def test_every_field_of_a_scenario_has_its_widget(open_page):
    keys = drawn_keys(open_page("new_run"))
    for path in paths(Scenario):
        assert f"scenario.{path}" in keys or f"scenario.{path}.name" in keys


@pytest.mark.parametrize(
    ("kind", "registry"), [("method", METHODS), ("model", BACKBONES)], ids=["method", "model"]
)
def test_every_plug_in_is_on_the_menu_and_brings_its_own_fields(open_page, kind, registry):
    page = open_page("new_run")
    for name in registry.names():
        page.selectbox(key=f"scenario.{kind}.name").select(name).run()
        assert not page.exception
        own = set(registry[name].model_fields) - {"name"}
        keys = drawn_keys(page)
        assert {f"scenario.{kind}[{name}].{field}" for field in own} <= keys


def test_a_mistake_stands_beside_its_field_and_nothing_is_queued(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="scenario.threat.epsilon").input("300/255").run()
    said = [caption.value for caption in page.caption if "material/error" in caption.value]
    assert len(said) == 1
    assert "allowed\\: 0 to 1" in said[0]
    assert any(e.label == "Threat (1 mistake)" for e in page.expander)
    page.button(key="launch").click().run()
    assert page.error[0].value == "Nothing was queued."
    assert not runs_of(studio)


def test_launch_queues_what_the_form_says(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="scenario.name").input("Mine").run()
    page.number_input(key="scenario.training.epochs").set_value(3).run()
    page.button(key="launch").click().run()
    assert not page.exception
    (run,) = runs_of(studio)
    assert (run.name, run.num_epochs, run.status) == ("Mine", 3, "queued")
    link = page.get("page_link")[0].proto
    assert link.label == "Open the run"


def test_a_radius_above_1_is_launched_in_l2(studio, open_page):
    page = open_page("new_run")
    page.selectbox(key="scenario.threat.norm").select("l2").run()
    page.text_input(key="scenario.threat.epsilon").input("2").run()
    page.button(key="launch").click().run()
    assert not page.exception
    (run,) = runs_of(studio)
    with studio.database.read() as session:
        threat = queries.get_run(session, run.id).scenario["threat"]
    assert (threat["norm"], threat["epsilon"]) == ("l2", 2.0)


def test_a_run_of_the_authors_protocol_is_launched_by_one_choice_and_named_after_it(
    studio, open_page
):
    page = open_page("new_run")
    page.selectbox(key="scenario.method.name").select("caat").run()
    page.selectbox(key="scenario.method[caat].protocol").select("as-released").run()
    page.button(key="launch").click().run()
    (run,) = runs_of(studio)
    assert run.method == "caat (as-released)"
    table = open_page("runs").dataframe[0].value
    assert table["method"].tolist() == ["caat (as-released)"]
    page = open_page("run", id=run.id)
    assert any("as\\-released" in caption.value for caption in page.caption)


def test_launch_pressed_three_times_makes_one_run(studio, open_page):
    page = open_page("new_run")
    for _ in range(3):
        page.button(key="launch").click().run()
    assert len(runs_of(studio)) == 1
    page.button(key="again").click().run()
    page.button(key="launch").click().run()
    assert len(runs_of(studio)) == 2


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_the_form(studio, open_page, preset):
    page = open_page("new_run")
    page.button(key=f"preset-{preset}").click().run()
    assert not page.exception
    expected = PRESETS[preset].scenario()
    assert page.text_input(key="scenario.name").value == expected.name
    ratio = page.number_input(key="scenario.data.noise.ratio").value
    assert ratio == expected.data.noise.ratio


def test_a_link_from_a_run_fills_in_its_scenario(studio, open_page):
    run_id = studio.queued("Old", seed=7, threat={"epsilon": "4/255"}, method={"name": "trades"})
    page = open_page("new_run", like=run_id)
    assert page.number_input(key="scenario.seed").value == 7
    assert page.text_input(key="scenario.threat.epsilon").value == "4/255"
    assert page.selectbox(key="scenario.method.name").value == "trades"


def test_a_broken_dataset_is_told_and_nothing_is_queued(studio, open_page, monkeypatch):
    from engine.errors import UserError

    def missing(*args, **kwargs):
        raise UserError("data.dataset: its files are missing")

    monkeypatch.setattr("tasks.submit.submit", missing)
    page = open_page("new_run")
    page.button(key="launch").click().run()
    assert "Nothing was queued" in page.error[0].value
    assert not runs_of(studio)


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

    some: int | None = Field(None, ge=1, description="A number; empty is seven")
    text: str = "abc"
    shares: tuple[float, ...] = (0.1, 0.2)


def odd_places() -> dict[str, Place]:
    return {place.name: place for place in places(Odd, "odd", "key")}


def test_a_field_names_what_empty_means():
    assert odd_places()["some"].empty_means == "seven"
    assert odd_places()["some"].is_optional


def test_a_list_of_numbers_is_written_and_read_back():
    place = odd_places()["shares"]
    assert as_value(place, as_widget(place, (0.1, 0.2))) == [0.1, 0.2]
    with pytest.raises(ValidationError):
        Odd(shares=as_value(place, "0.1, x"))


def test_the_preview_counts_what_the_run_will_get(data_dir):
    from engine.dataset import prepare

    scenario = Scenario.model_validate(
        {"data": {"imbalance": {"factor": 5, "shuffled": True}, "noise": {"ratio": 0.2}}}
    )
    data = prepare(scenario.data, scenario.seed, data_dir)
    counted = [int((data.train.true_labels == label).sum()) for label in range(10)]
    assert training_counts(scenario).tolist() == counted
    table = class_counts_table(scenario)
    assert table["clean"].sum() + table["flipped"].sum() == pytest.approx(sum(counted))
    assert noise_matrix(scenario).sum(axis=1) == pytest.approx([1.0] * 10)


def test_a_scenario_is_written_as_toml_that_reads_back():
    import tomllib

    scenario = Scenario(name='a "name" \\ with = [odd] # signs\x7f')
    read = tomllib.loads(as_toml(scenario.as_json()))
    assert Scenario.model_validate(read) == scenario


def test_the_table_of_a_scenario_says_every_setting_in_words():
    table = as_table(Scenario().as_json()).set_index("setting")
    assert table.loc["threat.epsilon", "value"] == "8/255"
    assert table.loc["evaluation.epsilon", "value"] == "the threat model's"
    assert table.loc["method.beta", "meaning"]
    assert as_table({"gone": {"old": 1}}).loc[0, "value"] == "1"


def test_session_keys_of_the_form_do_not_collide():
    assert not st.session_state.get("scenario")
    keys = [place.key for place in every_field()]
    assert len(keys) == len(set(keys))
