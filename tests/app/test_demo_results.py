"""The studies that come with the program: small, whole, and the source of their page."""

import importlib.util
from pathlib import Path

import pytest

from app.cli import up
from app.compare.study import read_tables
from app.studies.preset_files import RESULTS
from db import studies
from db.reads import queries
from tests.app.shown import words

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results" / "fashion-mnist.md"
NAME = "The paper's table: Fashion-MNIST"


@pytest.fixture(scope="module")
def results_page():
    file = ROOT / "benchmarks" / "results_page.py"
    spec = importlib.util.spec_from_file_location("results_page", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_shipped_runs_say_byte_for_byte(results_page):
    assert results_page.page(RESULTS) == PAGE.read_text()


def test_the_shipped_runs_are_small_and_every_row_has_three_seeds(studio):
    assert RESULTS.stat().st_size < 15 * 2**20
    up._add_results(studio.database)
    tables = read_tables(studio.database, NAME)
    assert [table.scenario for table in tables] == ["standard", "20 % pair noise", "imbalance 10"]
    assert {n for table in tables for n in table.rows["n"]} == {3}
    assert {len(table.rows) for table in tables} == {9}


def test_a_second_start_adds_nothing_and_the_demonstration_is_not_queued_beside(studio):
    for _ in range(2):
        up._add_to_look_at(studio.database, demo=True, results=True)
    with studio.database.read() as session:
        assert queries.run_count(session) == 81
        assert [row.name for row in studies.studies(session)] == [NAME]


def test_a_newcomer_sees_the_study_its_samples_and_its_classes_without_training(studio, open_page):
    up._add_results(studio.database)
    said = words(open_page("studies", study=NAME))
    assert "has the lowest robust error in its worst class" in said
    with studio.database.read() as session:
        runs = studies.runs_of(session, NAME, 99)
    first = next(run for run in runs if run.method == "caat" and run.seed == 0)
    for path, query in (
        ("run", {"id": first.id, "tab": "Classes"}),
        ("samples", {"run": first.id}),
    ):
        assert open_page(path, **query).get("plotly_chart")
    for tab in ("Attack", "Checks", "Samples", "Log"):
        assert not open_page("run", id=first.id, tab=tab).exception
    assert {run.status for run in runs} == {"succeeded"}
