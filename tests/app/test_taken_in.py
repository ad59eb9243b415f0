"""What was made elsewhere on the pages: measured like a run, said whose it is, nothing more."""

import numpy as np
import pytest

from engine.data.datasets.base import datasets
from tasks.imports import ImportRequest, take_in
from tasks.settings import settings
from tests.app.shown import words

BY = "tool <x> *1.2*"


@pytest.fixture
def imported(studio, tmp_path):
    """Predictions of another tool, on digits, under one attack."""
    _, test = datasets()["digits"].load(settings().dataset_dir)
    attacked = np.where(np.arange(len(test.labels)) % 3 == 0, (test.labels + 1) % 10, test.labels)
    file = tmp_path / "theirs.npz"
    np.savez(file, label=test.labels, clean=test.labels, attacked=attacked)
    request = ImportRequest(file, BY, data="digits", epsilon="8/255", name="Theirs")
    return take_in(request, actor="test")


@pytest.mark.parametrize("tab", ["Live", "Samples"])
def test_what_only_a_training_has_says_why_it_is_empty(open_page, imported, tab):
    page = open_page("run", id=imported, tab=tab)
    assert not page.exception
    assert "These are predictions of another tool" in words(page)


@pytest.mark.parametrize("tab", ["Classes", "Attack", "Setup", "Log"])
def test_every_other_tab_draws_and_offers_nothing_that_needs_a_model(open_page, imported, tab):
    page = open_page("run", id=imported, tab=tab)
    assert not page.exception
    labels = [button.label for button in page.button]
    assert "Queue it" not in labels
    assert "not here" in words(page)


def test_fairness_says_who_measured_and_has_every_published_index(open_page, imported):
    page = open_page("fairness", runs=imported)
    assert not page.exception
    assert "measured by tool" in words(page)
    tables = [frame.value for frame in page.dataframe]
    (indices,) = [table for table in tables if "source" in table]
    assert len(indices) == 5
    assert (indices["low"] <= indices["value"] + 1e-12).all()
    assert indices["source"].str.contains("arXiv").all()


def test_the_page_asks_for_a_file_before_it_does_anything(open_page, studio):
    page = open_page("audit")
    assert not page.exception
    for label in ("Audit", "Import"):
        (button,) = [button for button in page.button if button.label == label]
        page = button.click().run()
        assert not page.exception
        assert "choose a file above" in page.error[0].value
