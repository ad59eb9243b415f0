"""``caat study``: a file becomes runs, once; what is new is added; all are stopped and deleted."""

import json
import tomllib
from pathlib import Path

import pytest

from app.scenario.toml_out import as_study
from app.studies.preset_files import PresetFile, preset_file, preset_files
from db import studies
from db.models import RunStatus
from db.writes import transitions
from engine.new_scenario import new_scenario
from engine.study import cells, read_study
from tests.app.shown import words

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "study.toml"
FILE = """
name = "S"
seeds = [0, 1]
[base.data]
dataset = "digits"
[base.training]
epochs = 3
[scenarios.standard]
[scenarios.noise.data.noise]
kind = "pair"
ratio = 0.2
[methods.trades]
[methods.wat]
eta = 0.2
"""


@pytest.fixture
def caat(studio, caat):
    """Run one of the study's commands."""
    return lambda *words: caat("study", *map(str, words))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(FILE)
    return path


def runs_of(studio, name="S"):
    with studio.database.read() as session:
        return studies.runs_of(session, name, 1000)


def end(studio, run_id, status):
    with studio.database.write() as session:
        assert transitions.claim(session, run_id, studio.worker, lease_seconds=60) == 1
        transitions.finish(session, run_id, 1, status=status)


def test_a_launch_queues_every_cell_and_a_second_one_queues_nothing(studio, caat, file):
    code, out, _ = caat("launch", file)
    assert code == 0
    assert out == "S: 8 queued, 0 there already\n"
    runs = runs_of(studio)
    assert {(run.method, run.seed, run.name) for run in runs} == {
        (method, seed, f"{method}, {scenario}")
        for method in ("trades", "wat")
        for seed in (0, 1)
        for scenario in ("standard", "noise")
    }
    assert caat("launch", file)[1] == "S: 0 queued, 8 there already\n"
    assert len(runs_of(studio)) == 8


def test_a_file_that_has_grown_and_more_seeds_queue_what_is_new(studio, caat, file):
    caat("launch", file)
    before = {run.id for run in runs_of(studio)}
    file.write_text(FILE + "[methods.dafa]\n")
    assert caat("launch", file)[1] == "S: 4 queued, 8 there already\n"
    assert caat("extend", file, "--seeds", "1..3")[1] == "S: 12 queued, 6 there already\n"
    after = runs_of(studio)
    assert before < {run.id for run in after}
    assert sorted({run.seed for run in after}) == [0, 1, 2, 3]


def test_a_dry_run_says_what_would_be_queued_and_queues_nothing(studio, caat, file):
    code, out, _ = caat("launch", file, "--dry-run")
    assert code == 0
    assert "S: 8 cells, 8 to queue, 0 shared with others, 0 there" in out
    assert "no time is known of trades, wat" in out
    assert not runs_of(studio)
    caat("launch", file, "--seeds", "0")
    told = json.loads(caat("launch", file, "--dry-run", "--json")[1])
    assert (told["cells"], told["new"]) == (8, 4)
    assert told["rows"][0] == {
        "scenario": "standard",
        "method": "trades",
        "new": [1],
        "shared": [],
        "there": [0],
    }
    assert len(runs_of(studio)) == 4


def test_the_time_of_a_dry_run_is_that_of_what_is_new(studio, caat, file):
    caat("launch", file, "--seeds", "0")
    for run in runs_of(studio):
        end(studio, run.id, RunStatus.SUCCEEDED)
    timed = [studio.finished("T", method={"name": method}) for method in ("trades", "wat")]
    assert timed
    told = json.loads(caat("launch", file, "--dry-run", "--json")[1])
    every = json.loads(caat("launch", file, "--seeds", "0..2", "--dry-run", "--json")[1])
    assert told["seconds"] > 0
    assert every["seconds"] == pytest.approx(2 * told["seconds"])
    assert not told["never_measured"]


def test_status_says_how_every_run_stands(studio, caat, file):
    caat("launch", file)
    first = runs_of(studio)[-1]
    end(studio, first.id, RunStatus.FAILED)
    out = caat("status", "S")[1].splitlines()
    assert len(out) == 8
    assert out[0].startswith(f"{first.id}  failed")
    listed = json.loads(caat("status", "--json")[1])["studies"]
    assert [(row["study"], row["total"]) for row in listed] == [("S", 8)]
    assert listed[0]["statuses"] == {"failed": 1, "queued": 7}


def test_a_study_is_paused_resumed_and_deleted_as_one(studio, caat, file):
    caat("launch", file)
    code, _, said = caat("delete", "S")
    assert code == 2
    assert "8 runs of it have not ended; `caat study pause` them first" in said
    assert len(runs_of(studio)) == 8
    assert "8 cancelled before a start" in caat("pause", "S")[1]
    assert caat("launch", file)[1] == "S: 0 queued, 8 there already\n"
    assert "8 queued again" in caat("resume", "S")[1]
    caat("pause", "S")
    assert caat("delete", "S")[1] == "8 deleted\n"
    assert not runs_of(studio)
    assert caat("launch", file)[1] == "S: 8 queued, 0 there already\n"


def test_what_another_study_waits_for_is_shared_and_belongs_to_that_one(studio, caat, file):
    caat("launch", file)
    other = file.with_name("other.toml")
    other.write_text(FILE.replace('"S"', '"T"') + "[methods.dafa]\n")
    assert "4 to queue, 8 shared with others, 0 there" in caat("launch", other, "--dry-run")[1]
    assert caat("launch", other)[1] == "T: 4 queued, 8 shared with others, 0 there already\n"
    assert len(runs_of(studio, "T")) == 12
    assert (
        "4 cancelled before a start; what was recorded stays; 8 that others launched go on"
        in (caat("pause", "T")[1])
    )
    assert "8 cancelled before a start; what was recorded stays\n" in caat("pause", "S")[1]
    assert caat("delete", "S")[1] == "0 deleted, 8 left to studies that share them\n"
    assert len(runs_of(studio, "T")) == 12
    assert "12 queued again" in caat("resume", "T")[1]


@pytest.mark.parametrize("command", ["status", "pause", "resume", "delete"])
def test_a_study_that_is_not_is_one_line(caat, studio, command):
    studio.queued("A", study="Mine")
    code, _, said = caat(command, "Other")
    assert code == 2
    assert said == "caat: STUDY: no study is called 'Other'; the newest are 'Mine'\n"


@pytest.mark.parametrize("seeds", ["", "x", "3..", "5..3", "1,,2", "-1", "0..99999", "1,1", "1.5"])
def test_seeds_that_are_none_are_one_line_and_nothing_is_queued(studio, caat, file, seeds):
    code, _, said = caat("launch", file, f"--seeds={seeds}")
    assert code == 2
    assert "seeds" in said
    assert len(said.splitlines()) == 1
    assert not runs_of(studio)


def test_one_wrong_cell_queues_nothing_of_a_study(studio, caat, file):
    file.write_text(FILE + '[methods.bad]\nname = "cfa"\nbetta = 3\n')
    code, _, said = caat("launch", file)
    assert code == 2
    assert said.splitlines() == [
        f"caat: bad, {scenario}: method.betta: unknown key (value 3)"
        for scenario in ("standard", "noise")
    ]
    assert not runs_of(studio)


def test_many_runs_are_asked_for_twice_and_too_many_refused(studio, caat, file, monkeypatch):
    monkeypatch.setattr("tasks.study.ASK_ABOVE", 10)
    monkeypatch.setattr("tasks.study.MAX_RUNS", 20)
    code, _, said = caat("launch", file, "--seeds", "0..2")
    assert code == 2
    assert (
        said == "caat: study: 12 runs; say --yes if so many are meant, or --dry-run to see them\n"
    )
    code, _, said = caat("launch", file, "--seeds", "0..5", "--yes")
    assert code == 2
    assert said == "caat: study: 24 runs are too many; allowed: 1 to 20\n"
    assert not runs_of(studio)
    assert caat("launch", file, "--seeds", "0..2", "--yes")[1] == "S: 12 queued, 0 there already\n"


def test_a_file_that_is_no_study_says_what_is_missing(caat, tmp_path):
    file = tmp_path / "x.toml"
    file.write_text('[data]\ndataset = "digits"\n')
    code, _, said = caat("launch", file)
    assert code == 2
    assert "caat: data: unknown key" in said
    assert "caat: methods: is required" in said


def test_the_example_of_the_documentation_can_be_launched(caat):
    told = json.loads(caat("launch", EXAMPLE, "--dry-run", "--json")[1])
    assert told["cells"] == 12
    assert tomllib.loads(EXAMPLE.read_text())["name"] == told["study"]


@pytest.mark.parametrize("preset", preset_files(), ids=lambda preset: preset.name)
def test_every_preset_has_cells_of_its_own_and_says_what_it_is(preset):
    study = read_study(tomllib.loads(preset.text))
    assert len(cells(study)) == len(study.seeds) * len(study.scenarios) * len(study.methods)
    assert len(preset.description) > 40


def test_presets_are_listed_and_printed_to_be_changed(caat):
    listed = caat("presets")[1].splitlines()
    assert [line.split()[0] for line in listed] == [preset.name for preset in preset_files()]
    assert caat("presets", "paper-fashion")[1] == preset_file("paper-fashion").text
    code, _, said = caat("presets", "paper")
    assert code == 2
    assert said.startswith("caat: PRESET: 'paper' is not valid; choose caat-ablations, ")


# -- in the browser


def test_a_preset_is_launched_from_the_browser_as_a_file_is(studio, open_page, monkeypatch):
    monkeypatch.setattr("app.studies.upload.preset_files", lambda: [PresetFile("mine", FILE)])
    page = open_page("studies")
    page.selectbox(key="study-preset").set_value("mine").run()
    page.button(key="study-launch").click().run()
    assert not page.exception
    assert len(runs_of(studio)) == 8


def uploaded(page, content: str):
    return page.file_uploader(key="study-file").upload("s.toml", content.encode(), "text/plain")


def test_a_study_file_in_the_browser_shows_its_cells_and_queues_them_once(studio, open_page):
    page = open_page("studies")
    uploaded(page, FILE).run()
    plan = page.dataframe[-1].value
    assert plan[["new", "shared", "there"]].to_numpy().tolist() == [[2, 0, 0]] * 4
    page.button(key="study-launch").click().run()
    assert not page.exception
    assert "S: 8 runs queued." in words(page)
    assert len(runs_of(studio)) == 8
    assert page.button(key="study-launch").disabled


def test_what_the_study_has_is_not_queued_again_from_the_browser(studio, open_page, caat, file):
    caat("launch", file)
    page = open_page("studies")
    uploaded(page, FILE + "[methods.dafa]\n").run()
    plan = page.dataframe[-1].value
    assert plan["new"].tolist() == [0, 0, 2, 0, 0, 2]
    page.button(key="study-launch").click().run()
    assert len(runs_of(studio)) == 12


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("seeds = [", "cannot be read as TOML"),
        (FILE + "[methods.magic]\n", "magic, standard: method"),
        ("x = 1", "methods: is required"),
        ("\0", "is no UTF-8 text"),
    ],
)
def test_a_file_that_is_no_study_is_told_on_the_page(studio, open_page, content, says):
    page = open_page("studies")
    uploaded(page, content).run()
    assert not page.exception
    assert any(says in error.value.replace("\\", "") for error in page.error)
    assert "study-launch" not in [button.key for button in page.button]


def test_what_the_form_describes_goes_round_as_a_study_file():
    settings = {"data": {"dataset": "digits", "noise": {"kind": "pair", "ratio": 0.2}}}
    methods = [{"name": "wat", "eta": 0.3}, {"name": "caat"}, {"name": "caat-weighted"}]
    scenarios = [
        new_scenario({**settings, "method": method, "seed": seed})
        for method in methods
        for seed in (4, 5)
    ]
    read = cells(read_study(tomllib.loads(as_study("Mine", scenarios))))
    assert {cell.scenario.digest() for cell in read} == {one.digest() for one in scenarios}
    assert [cell.method_name for cell in read[:3]] == ["wat", "caat", "caat-weighted"]


def test_a_form_of_one_run_is_no_study_and_one_of_several_can_be_kept(studio, open_page):
    page = open_page("new_run")
    labels = [button.proto.label for button in page.get("download_button")]
    assert "Download as a study file" not in labels
    page.multiselect(key="scenario.method.names").set_value(["wat", "trades"]).run()
    labels = [button.proto.label for button in page.get("download_button")]
    assert "Download as a study file" in labels
