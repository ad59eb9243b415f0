"""What the page of a new run begins with, and what it says the run will get."""

import json
from typing import get_args

import pytest
from typer.testing import CliRunner

from app.cli import methods as methods_command
from app.cli.main import cli
from app.forms.presets import PRESETS
from app.new_run.preview import class_counts_table, noise_matrix
from engine.found import KINDS, Kind, found
from engine.scenario import Scenario
from tests.app.shown import words


def test_a_run_that_is_gone_fills_nothing_and_leaves_the_form_ready(open_page):
    page = open_page("new_run", like="0" * 32)
    assert "The run to start from is gone" in page.warning[0].value
    assert page.text_input(key="scenario.name").value == PRESETS["demo"].scenario().name


def test_a_link_fills_the_form_once_and_drawn_again_the_page_leaves_it_alone(open_page):
    for like in ("0" * 32, ""):
        page = open_page("new_run", like=like)
        assert len(page.warning) == 1
        page.text_input(key="scenario.name").set_value("Mine").run()
        assert not page.warning
        assert page.text_input(key="scenario.name").value == "Mine"


def test_of_several_runs_the_first_is_shown_beside_the_form(open_page):
    page = open_page("new_run")
    for methods, meta in ((["pgd-at", "caat"], False), (["caat", "pgd-at"], True)):
        page.multiselect(key="scenario.method.names").set_value(methods).run()
        told = page.dataframe[0].value["what"].tolist()
        assert "Images per step" in told
        assert ("Meta steps per epoch" in told) is meta


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


@pytest.mark.parametrize("with_meta", [False, True])
def test_the_preview_counts_what_the_run_will_get(with_meta, data_dir):
    scenario = Scenario.model_validate(
        {
            "data": {"imbalance": {"factor": 5, "shuffled": True}, "noise": {"ratio": 0.2}},
            "training": {"with_meta": with_meta},
        }
    )
    data = scenario.prepared(data_dir)
    counted = [int((data.train.true_labels == label).sum()) for label in range(10)]
    assert scenario.training_counts().tolist() == counted
    table = class_counts_table(scenario)
    assert table["clean"].sum() + table["flipped"].sum() == pytest.approx(sum(counted))
    noisy = sum(counted) - with_meta * len(data.meta)
    assert table["flipped"].sum() == pytest.approx(0.2 * noisy)
    assert noise_matrix(scenario).sum(axis=1) == pytest.approx([1.0] * 10)


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
    assert [run.id for run in studio.runs()] == [old]


def test_what_a_search_found_for_such_data_fills_the_method_and_its_training(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="scenario.data.noise.ratio").set_value("0")
    page.text_input(key="scenario.data.imbalance.factor").set_value("10").run()
    page.multiselect(key="scenario.method.names").set_value(["wat"]).run()
    one = found("imbalance", "wat")
    assert one.on in words(page)
    page.button(key="found").click().run()
    assert not page.exception
    for name, value in one.fields.items():
        assert float(page.text_input(key=f"scenario.method[wat].{name}").value) == value
    assert float(page.text_input(key="scenario.training.lr").value) == one.training["lr"]


def test_of_several_methods_no_learning_rate_is_filled_in(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="scenario.data.noise.ratio").set_value("0")
    page.text_input(key="scenario.data.imbalance.factor").set_value("10").run()
    page.multiselect(key="scenario.method.names").set_value(["wat", "trades"]).run()
    before = page.text_input(key="scenario.training.lr").value
    page.button(key="found").click().run()
    assert page.text_input(key="scenario.training.lr").value == before
    beta = found("imbalance", "trades").fields["beta"]
    assert float(page.text_input(key="scenario.method[trades].beta").value) == beta


def test_where_nothing_was_searched_nothing_is_offered(studio, open_page):
    page = open_page("new_run")
    page.multiselect(key="scenario.method.names").set_value(["mart"]).run()
    assert "found" not in [button.key for button in page.button]


def test_the_command_tells_what_was_found_for_each_method():
    told = CliRunner().invoke(cli, ["methods", "--found", "imbalance", "--json"])
    read = json.loads(told.stdout)
    assert read["wat"] == vars(found("imbalance", "wat"))
    plain = CliRunner().invoke(cli, ["methods", "--found", "imbalance"]).stdout
    assert f"the best of {read['wat']['tried']} on {read['wat']['on']}" in plain
    assert CliRunner().invoke(cli, ["methods", "--found", "x"]).exit_code == 2


def test_the_command_knows_the_same_kinds_of_data_without_the_engine():
    assert get_args(methods_command.Kind) == tuple(KINDS) == get_args(Kind)
