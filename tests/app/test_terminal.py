"""Names from before the door, and what people type, as the commands print them."""

import csv
import io
import json
import os
import subprocess
import sys
import tomllib
import unicodedata
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from app.scenario.toml_out import as_toml
from db.reads import queries
from db.writes import records
from engine.names import visible
from engine.new_scenario import new_scenario
from engine.scenario import Scenario
from tasks.queue.submit import submit
from tasks.settings import open_database
from tasks.study import submit_study
from tasks.worker.supervise import run_attempt
from tests.app.payloads import HIDDEN
from tests.app.test_hostile import CLASSES, bare

ESC, SECOND = "\x1b]0;owned\x07\u202e", "a\nrow  running  1/1"


@pytest.fixture
def old(studio):
    """Two finished runs of a study, whose names are from before names were looked at."""
    runs = [studio.finished(SECOND, study=ESC, seed=seed) for seed in range(2)]
    with studio.database.write() as session:
        facts = dict(queries.get_run(session, runs[0]).facts)
        for run_id in runs:
            records.write_facts(session, run_id, facts | {"class_names": [ESC, *CLASSES[1:]]})
    return runs


def test_a_row_of_status_is_one_line_whatever_the_run_is_called(studio, caat):
    for name in HIDDEN:
        studio.queued(name)
    code, out, _ = caat("status")
    lines = out.splitlines()
    assert code == 0
    assert bare(out.replace("\n", "")) == set()
    assert len(lines) == len(HIDDEN)
    shown = {line.split("  digits  ", 1)[1] for line in lines}
    assert shown == {visible(name) for name in HIDDEN}


def test_every_command_shows_an_old_name_without_obeying_it(old, caat, tmp_path: Path):
    out = tmp_path / "classes.csv"
    for words in (
        ["status"],
        ["status", old[0]],
        ["status", "--json"],
        ["resume", old[0]],
        ["export", old[0], "--what", "classes", "--out", str(out)],
        *(["table", ESC, "--format", name] for name in ("markdown", "latex", "csv", "json")),
    ):
        code, said, complaints = caat(*words)
        assert code == 0, (words, complaints)
        assert bare((said + complaints).replace("\n", "")) == set(), words
    assert bare(out.read_text().replace("\n", "")) == set()
    rows = list(csv.DictReader(io.StringIO(out.read_text(), newline="")))
    assert {row["class"] for row in rows} >= {visible(ESC), "'=1+1"}
    assert all(float(row["value"]) >= 0 for row in rows)


def test_a_table_in_markdown_keeps_its_rows_whatever_its_scenarios_are_called(studio, caat):
    for name, width in (("a | b |\n| --- | --- |", 8), ("![x](//evil.example)<b>", 16)):
        studio.finished(name, study="S", model={"name": "mlp", "width": width})
    _, out, _ = caat("table", "S")
    page = MarkdownIt("js-default", {"html": True}).render(out)
    assert page.count("<tr>") == 3
    assert page.count("<table>") == 1
    assert "<img" not in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    "words",
    [
        ["status", ESC],
        ["table", ESC],
        ["run", f"no{ESC}\nfile.toml"],
        ["launch", "SCENARIO", "--set", f"seed={ESC}"],
        ["launch", "SCENARIO", "--set", ESC],
        ["launch", "SCENARIO", "--set", "name=\x1bx\nnext"],
        ["launch", "SCENARIO", "--set", f"{ESC}\n.x=1"],
        ["launch", "SCENARIO", "--set", "name=\udcff"],
        ["status", "\udcff"],
        ["table", "\udcff"],
        ["launch", "SCENARIO", f"--{ESC}\nx"],
        [f"{ESC}\nx"],
        ["evaluate", f"{ESC}\n"],
        ["export", "RUN", "--what", f"{ESC}\n", "--out", "x.csv"],
        ["export", "RUN", "--what", "metrics", "--out", f"{ESC}\n/x.csv"],
    ],
)
def test_a_complaint_that_repeats_what_was_typed_is_one_line_that_shows_it(
    studio, caat, tmp_path: Path, words
):
    file = tmp_path / "scenario.toml"
    file.write_text("")
    there = {"SCENARIO": str(file), "RUN": studio.queued()}
    code, out, complaints = caat(*(there.get(word, word) for word in words))
    assert code == 2
    assert out == ""
    assert bare(complaints.replace("\n", "")) == set()
    assert len(complaints.splitlines()) == 1


def test_a_study_or_a_run_whose_name_cannot_be_shown_is_not_stored(studio, data_dir):
    good = Scenario(name="good")
    for name in HIDDEN:
        with pytest.raises(ValueError, match=r"^study: '.*' cannot be shown as it is: U\+"):
            submit_study(name, [good], actor="test", idempotency_key="k")
        with pytest.raises(ValueError, match=r"^name: '.*' cannot be shown as it is: U\+"):
            submit(good.model_copy(update={"name": name}), actor="test")
    with open_database().read() as session:
        assert queries.run_count(session) == 0


@pytest.mark.parametrize("name", HIDDEN)
def test_a_stored_scenario_is_read_whatever_its_name_and_is_the_same_scenario(name):
    plain = Scenario(seed=3)
    values = {**plain.as_json(), "name": name}
    stored = Scenario.model_validate(json.loads(json.dumps(values)))
    assert stored.name == name
    assert stored.digest() == plain.digest()
    with pytest.raises(ValueError, match="cannot be shown"):
        new_scenario(values)


def test_a_blank_name_is_called_by_what_the_run_does(studio):
    from app.components.page import title_of

    with studio.database.read() as session:
        run = queries.get_run(session, studio.queued("\u3000 \u00a0"))
    assert unicodedata.category(title_of(run)[0]) == "Ll"


def test_an_old_queued_run_is_trained_and_evaluated_whatever_its_name(studio, caat):
    settings = {"model": {"name": "mlp"}, "method": {"name": "pgd-at"}}
    small = {"train_size": 100, "test_size": 100}
    run_id = studio.queued(ESC, data=small, training={"epochs": 1}, **settings)
    assert run_attempt(studio.database, run_id)
    with studio.database.read() as session:
        assert queries.get_run(session, run_id).status == "succeeded"
    code, out, complaints = caat("evaluate", run_id, "--subset", "20", "--steps", "1")
    assert code == 0, complaints
    assert "robust error" in out


@pytest.mark.parametrize("name", HIDDEN)
def test_the_file_of_an_old_run_runs_again_whatever_its_name(name):
    stored = {**Scenario(seed=3).as_json(), "name": name}
    written = as_toml(stored)
    assert bare(written.replace("\n", "")) == set()
    again = Scenario.model_validate(tomllib.loads(written))
    assert again.name == visible(name)[:200]
    assert again.digest() == Scenario.model_validate(stored).digest()


@pytest.mark.parametrize("name", [ESC, SECOND, "e" + 100 * "\u0301"])
def test_a_run_from_an_old_one_has_its_name_written_out_and_is_queued(studio, open_page, name):
    page = open_page("new_run", like=studio.queued(name))
    field = page.text_input(key="scenario.name")
    assert field.value == visible(name)[:200]
    page.button(key="launch").click().run()
    with studio.database.read() as session:
        newest, old = queries.list_runs(session)
    assert (newest.name, old.name) == (field.value, name)


def test_a_shell_completes_commands_once_its_completion_is_installed(tmp_path):
    command = str(Path(sys.executable).with_name("caat"))
    environment = os.environ | {"HOME": str(tmp_path)}
    in_a_shell = ["bash", "-c", '"$0" --install-completion; true', command]
    subprocess.run(in_a_shell, env=environment, check=True)
    assert "complete_bash" in (tmp_path / ".bash_completions" / "caat.sh").read_text()
    asked = {"_CAAT_COMPLETE": "complete_bash", "COMP_WORDS": "caat st", "COMP_CWORD": "1"}
    done = subprocess.run([command], env=environment | asked, capture_output=True, text=True)
    assert done.stdout.split() == ["status", "stop", "study"]
