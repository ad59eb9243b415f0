"""A report is one file that opens without a network, whatever runs and classes are called."""

import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.compare import runs as comparison
from app.report.comparison import comparison_report
from app.report.document import Document, Section, table_of
from app.report.run import run_report
from app.text.format import NOTHING
from db.evaluations import NewEvaluation, write_evaluation
from db.models import FINAL
from db.writes import records
from engine.errors import UserError
from tests.app.recorded import NAMES, card, facts

HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>{{ 1 }}"
)


class Read(HTMLParser):
    """The tags of a page, its text outside of scripts, and its scripts."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.text = ""
        self.outside: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.outside += [value for name, value in attributes if name in ("src", "href")]
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, text):
        if self.tags and self.tags[-1] == "script":
            self.scripts[-1] += text
        else:
            self.text += text

    def handle_endtag(self, tag):
        self.tags.append(f"/{tag}")

    def drawn(self) -> list[dict]:
        return json.loads(self.scripts[1])["figures"]


@pytest.fixture
def hostile(studio):
    """A finished run whose name and classes are scripts."""

    def make(seed: int = 0) -> str:
        run_id = studio.finished(HOSTILE, seed=seed)
        with studio.database.write() as session:
            told = facts() | {"class_names": [f"{HOSTILE}{name}" for name in NAMES]}
            records.write_facts(session, run_id, told)
        return run_id

    return make


def test_a_hostile_name_is_text_and_adds_no_element(hostile):
    page = Read(run_report(hostile()))
    assert HOSTILE in page.text
    assert page.tags.count("script") == 3
    assert "img" not in page.tags
    assert page.outside == []


def test_a_comparison_escapes_names_as_well(hostile):
    ids = {hostile(seed) for seed in (0, 1)}
    runs = [run for run in comparison.finished() if run.id in ids]
    page = Read(comparison_report(runs, "robust_error"))
    assert HOSTILE in page.text
    assert page.tags.count("script") == 3
    assert "img" not in page.tags


def test_the_report_of_a_finished_run_has_its_numbers_charts_protocol_and_scenario(studio):
    page = Read(run_report(studio.finished("Done")))
    assert "10.0 % natural and 30.0 % robust error (linf 8/255) on test data." in page.text
    assert "Worst class: class j, 70.0 % robust error, +40 points over the average" in page.text
    for part in ("Evaluation card", "Events", "Version of torch", '[data]\ndataset = "digits"'):
        assert part in page.text
    assert page.tags.count("figure") == len(page.drawn()) >= 8
    assert all(figure["data"] for figure in page.drawn())


def test_the_average_under_an_attack_is_over_images_and_not_over_classes(studio):
    run_id, label = studio.finished("Done"), np.repeat([0, 1, 2], [70, 20, 10])
    attacked = np.where(label == 2, 0, label)
    attacked[:7] = 1
    said = {"sample": np.arange(100), "label": label, "clean": label, "attacked": attacked}
    with studio.database.write() as session:
        new = NewEvaluation(FINAL, "attack", 100, card(), outcomes=said)
        write_evaluation(session, run_id, 1, new=new)
    text = Read(run_report(run_id)).text
    rows = text[text.index("Attacks on the test images") :]
    assert rows.index("17.0 %") < rows.index("100.0 %")  # 17 of 100 images; classes: 36.7 %
    assert "36.7 %" not in rows


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_is_not_done_has_a_report_of_what_there_is(studio, state):
    page = Read(run_report(getattr(studio, state)("Going")))
    told = {"queued": "No epoch is finished yet", "running": "validation data after epoch 3"}
    assert told[state] in page.text


def test_runs_measured_otherwise_stand_side_by_side_but_are_not_ranked(studio):
    one, other = studio.finished("One"), studio.finished("Other")
    studio.measured(other, [0.5] * 10, num_steps=50)
    runs = {run.id: run for run in comparison.finished()}
    page = Read(comparison_report([runs[one], runs[other]], "robust_error"))
    assert "Not measured alike, so not ranked. They differ in steps: 20 or 50." in page.text
    assert "Trade-off" not in page.text


def test_one_run_alone_can_be_reported_from_the_comparing_pages(studio):
    studio.finished("Alone")
    page = Read(comparison_report(comparison.finished(), "robust_error"))
    assert "Worst class: class j" in page.text


def test_a_page_makes_no_report_before_it_is_asked_for(studio, open_page, monkeypatch):
    run_id = studio.finished()
    for place in ("app.run_tabs.setup.run_report", "app.report.comparison.comparison_report"):
        monkeypatch.setattr(place, lambda *_: pytest.fail("nobody asked"))
    for page, query in (
        ("run", {"id": run_id, "tab": "Setup"}),
        ("fairness", {}),
        ("tradeoff", {}),
    ):
        buttons = open_page(page, **query).get("download_button")
        assert [button for button in buttons if "(HTML)" in button.proto.label]


def test_the_command_writes_a_report(studio, tmp_path):
    run_id, out = studio.finished("Done"), tmp_path / "report.html"
    done = CliRunner().invoke(cli, ["export", run_id, "--what", "report", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "30.0 % robust error (linf 8/255) on test data." in Read(out.read_bytes()).text


@pytest.mark.parametrize("name", ["report.csv", "none/report.html"])
def test_a_report_goes_into_an_html_file_in_a_folder_that_is_there(studio, tmp_path, name):
    words = ["export", studio.queued(), "--what", "report", "--out", str(tmp_path / name)]
    assert isinstance(CliRunner().invoke(cli, words).exception, UserError)


def test_a_report_opens_without_a_network_and_runs_no_strangers_script(hostile, chromium, tmp_path):
    out = tmp_path / "report.html"
    out.write_bytes(run_report(hostile()))
    context = chromium.new_context(offline=True, color_scheme="dark")
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(out.as_uri())
    figures = page.locator("figure").count()
    page.wait_for_function(
        "(n) => document.querySelectorAll('figure .main-svg:first-child').length >= n", arg=figures
    )
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("Plotly.version.length > 0")
    assert asked == [out.as_uri()]
    assert complaints == []
    context.close()


def test_sections_keep_their_order_and_their_text_is_escaped():
    page = Read(Document("T", "s", [Section("One", ["a < b"]), Section("Two")]).html())
    assert page.text.index("One") < page.text.index("a < b") < page.text.index("Two")


def test_a_table_writes_every_value_and_a_dash_where_there_is_none():
    frame = pd.DataFrame(
        {
            "worst_class": ["cat", None],
            "robust_error": [0.25, np.nan],
            "loss": [0.0, np.nan],
            "n": pd.Series([0, None], dtype=object),
            "right": [False, True],
        }
    )
    table = table_of(frame, shares=["robust_error"])
    assert table.columns == ["Worst class", "Robust error", "Loss", "N", "Right"]
    assert table.rows == [
        ["cat", "25.0 %", "0", "0", "False"],
        [NOTHING, NOTHING, NOTHING, NOTHING, "True"],
    ]
