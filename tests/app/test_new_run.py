"""The form has every field of a scenario, says mistakes beside them, and launches once."""

import re
from collections.abc import Iterator
from typing import Annotated

import pytest
import streamlit as st
from pydantic import BaseModel, Field, ValidationError

from app.forms import session as answering
from app.forms.fields import Place, places
from app.forms.presets import PRESETS
from app.forms.session import answers, as_value, as_widget, every_field, fill
from app.new_run.preview import class_counts_table, noise_matrix, training_counts
from app.scenario.toml_out import as_table, as_toml
from db.reads import queries
from engine.config import Section
from engine.empty import Empty
from engine.methods.base import METHODS
from engine.models.backbones.base import BACKBONES
from engine.scenario import Scenario
from tasks.queue.submit import submit

WIDGETS = ("selectbox", "multiselect", "text_input", "toggle")


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


def test_a_run_that_is_gone_fills_nothing_and_leaves_the_form_ready(open_page):
    page = open_page("new_run", like="0" * 32)
    assert "The run to start from is gone" in page.warning[0].value
    assert page.text_input(key="scenario.name").value == PRESETS["demo"].scenario().name


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
    assert not runs_of(studio)


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
            return "x" * 201
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
    assert not runs_of(studio)


def test_without_a_method_nothing_can_be_launched(studio, open_page):
    page = open_page("new_run")
    page.multiselect(key="scenario.method.names").set_value([]).run()
    page.button(key="launch").click().run()
    assert page.error[0].value == "Nothing was queued."
    assert any("choose one or several" in caption.value for caption in page.caption)
    assert not runs_of(studio)


def choose(page, methods: list[str], num_seeds: int):
    page.multiselect(key="scenario.method.names").set_value(methods)
    page.text_input(key="scenario.num_seeds").input(str(num_seeds))
    return page.run()


def test_methods_times_seeds_are_launched_as_one_study(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="scenario.seed").input("7")
    page = choose(page, ["trades", "caat"], 2)
    page.text_input(key="scenario.method[trades].beta").input("3.0").run()
    for _ in range(3):
        page.button(key="launch").click().run()
    assert not page.exception
    runs = runs_of(studio)
    made = sorted((run.method, run.seed) for run in runs)
    assert made == [("caat", 7), ("caat", 8), ("trades", 7), ("trades", 8)]
    assert {run.study for run in runs} == {"Demo: digits, noisy labels"}
    with studio.database.read() as session:
        (trades, _) = [run.id for run in runs if run.method == "trades"]
        assert queries.get_run(session, trades).scenario["method"]["beta"] == 3.0
    assert page.get("page_link")[0].proto.label == "Open the study"


def test_a_study_whose_name_is_taken_gets_a_number(studio, open_page):
    page = choose(open_page("new_run"), ["standard"], 2)
    for _ in range(2):
        page.button(key="launch").click().run()
        page.button(key="again").click().run()
    names = {run.study for run in runs_of(studio)}
    assert names == {"Demo: digits, noisy labels", "Demo: digits, noisy labels 2"}


def test_a_mistake_in_one_of_several_methods_stands_below_that_method(studio, open_page):
    page = choose(open_page("new_run"), ["trades", "mart"], 1)
    page.text_input(key="scenario.method[mart].beta").input("-1.0").run()
    said = [text.value for text in page.markdown if "material/error" in text.value]
    assert len(said) == 1
    assert any("method[mart].beta" in c.value.replace("\\", "") for c in page.caption)
    page.button(key="launch").click().run()
    assert not runs_of(studio)


def test_launch_queues_what_the_form_says(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="scenario.name").input("Mine").run()
    page.text_input(key="scenario.training.epochs").input("3").run()
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
    page.multiselect(key="scenario.method.names").set_value(["caat"]).run()
    page.selectbox(key="scenario.method[caat].protocol").select("as-released").run()
    page.button(key="launch").click().run()
    (run,) = runs_of(studio)
    assert run.method == "caat (as-released)"
    table = open_page("runs").dataframe[0].value
    assert table["method"].tolist() == ["caat (as-released)"]
    page = open_page("run", id=run.id)
    assert any("as\\-released" in caption.value for caption in page.caption)


def test_what_another_tab_has_just_launched_is_launched_again_only_on_purpose(studio, open_page):
    one, other = open_page("new_run"), open_page("new_run")
    one.button(key="launch").click().run()
    other.button(key="launch").click().run()
    told = other.warning[0].value
    assert re.fullmatch(r"Nothing was queued: already started \d+ s ago by another tab\.", told)
    assert len(runs_of(studio)) == 1
    other.button(key="insist").click().run()
    assert "Queued" in other.success[0].value
    assert not other.warning
    assert len(runs_of(studio)) == 2


def test_a_launch_of_the_command_line_is_not_another_tabs(studio, open_page):
    page = open_page("new_run")
    submit(PRESETS["demo"].scenario(), actor="command line")
    page.button(key="launch").click().run()
    assert not page.warning
    assert len(runs_of(studio)) == 2


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
    ratio = page.text_input(key="scenario.data.noise.ratio").value
    assert float(ratio) == expected.data.noise.ratio


def test_a_link_from_a_run_fills_in_its_scenario(studio, open_page):
    run_id = studio.queued("Old", seed=7, threat={"epsilon": "4/255"}, method={"name": "trades"})
    page = open_page("new_run", like=run_id)
    assert page.text_input(key="scenario.seed").value == "7"
    assert page.text_input(key="scenario.threat.epsilon").value == "4/255"
    assert page.multiselect(key="scenario.method.names").value == ["trades"]


def test_a_broken_dataset_is_told_and_nothing_is_queued(studio, open_page, monkeypatch):
    from engine.errors import UserError

    def missing(*args, **kwargs):
        raise UserError("data.dataset: its files are missing")

    monkeypatch.setattr("app.new_run.launch.submit", missing)
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


def test_the_preview_counts_what_the_run_will_get(data_dir):
    from engine.data.preparation import prepare

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

    scenario = Scenario(name='a "name" \\ with = [odd] # signs')
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


def test_what_the_fields_lead_to_stands_beside_the_form(studio, open_page):
    old = studio.running("Old", 3, data={"imbalance": {"factor": 20}}, threat={"num_steps": 2})
    page = open_page("new_run", like=old)
    assert not page.exception
    told = page.dataframe[0].value.set_index("what")["value"]
    # 99 images / 20 is 4.95, of which 4 are whole; two steps of half the radius reach its edge.
    assert told["Largest class over smallest"] == "24.75"
    assert told["Threat in training"] == "linf, radius 8/255, step 4/255"


def test_a_stored_run_whose_fields_are_refused_today_is_shown_and_can_be_mended(studio, open_page):
    old = studio.running("Old", 3, data={"imbalance": {"factor": 1000}})
    assert not open_page("run", id=old).exception
    assert not open_page("runs").exception
    page = open_page("new_run", like=old)
    assert not page.exception
    shown = " ".join(element.value for element in page.markdown)
    assert "the smallest class has 99 training images" in shown
    page.button(key="launch").click().run()
    assert [run.id for run in runs_of(studio)] == [old]
