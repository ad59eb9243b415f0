"""The tabs of a run: each is drawn alone, and says its numbers in words."""

import re

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.run_tabs.tabs import TABS
from tests.app.shown import words


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_of_a_run_without_data_says_what_will_stand_there(studio, open_page, tab):
    page = open_page("run", id=studio.queued("Waits"), tab=tab)
    assert page.title[0].value == "Waits"
    assert "Waiting for a worker" in page.get("progress")[0].proto.text
    expected = {
        "Live": "No curves",
        "Classes": "No errors",
        "Samples": "No weights",
        "Attack": "No attack yet",
        "Setup": "The trainer tells sizes",
        "Log": "No worker has taken this run",
    }
    assert expected[tab] in words(page)


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("state", ["running", "finished"])
def test_every_tab_draws(studio, open_page, state, tab):
    page = open_page("run", id=getattr(studio, state)(), tab=tab)
    kind, number = {
        "Live": ("bidi_component", 1),
        "Classes": ("plotly_chart", 2),
        "Samples": ("plotly_chart", 2),
        "Attack": ("plotly_chart", 2 if state == "finished" else 0),
        "Setup": ("dataframe", 3),
        "Log": ("dataframe", 2),
    }[tab]
    assert len(page.get(kind)) >= number


def test_only_the_open_tab_is_drawn(studio, open_page):
    page = open_page("run", id=studio.finished(), tab="Setup")
    assert not page.get("plotly_chart")
    assert not page.get("bidi_component")


def test_the_classes_tab_names_the_worst_class_in_words(studio, open_page):
    page = open_page("run", id=studio.finished(), tab="Classes")
    said = words(page)
    assert (
        "Worst class: class j, 70 % robust error (linf 8/255), +30 points over the average" in said
    )
    assert "n = 10" in said
    assert "test data" in said


def test_while_a_run_trains_its_classes_are_of_the_newest_validation_epoch(studio, open_page):
    page = open_page("run", id=studio.running(epochs=3), tab="Classes")
    assert "validation data after epoch 3" in words(page)


def test_the_attack_tab_names_the_most_frequent_mistake_and_its_interval(studio, open_page):
    said = words(open_page("run", id=studio.finished(), tab="Attack"))
    mistake = "Under attack class j is taken for class a most: 70 % of its images, 50 % without"
    assert mistake in said
    assert "Worst class: class j, 70 % robust error (linf 8/255) (95 % interval 40 %" in said


def test_the_attack_tab_lists_every_evaluation_and_draws_the_one_in_the_link(studio, open_page):
    run_id = studio.finished()
    studio.attacked(run_id, "PGD-1", in_vain=True)
    page = open_page("run", id=run_id, tab="Attack", attack="PGD-1")
    listed = page.dataframe[-1].value
    assert listed["name"].tolist() == ["At the end of training", "PGD-1"]
    assert listed["robust"].tolist() == pytest.approx([40.0, 35.0])
    assert listed["worst"].tolist() == pytest.approx([70.0, 50.0])
    assert listed["n"].tolist() == [100, 100]
    assert "Worst class: class f, 50 % robust error" in words(page)


def test_an_attack_that_is_not_in_pixels_says_so_beside_its_numbers(studio, open_page):
    run_id = studio.finished()
    studio.attacked(run_id, "as released", space="normalised tensors")
    said = words(open_page("run", id=run_id, tab="Attack", attack="as released"))
    assert "not in pixels: normalised tensors" in said


def test_a_stored_curve_says_where_half_of_the_accuracy_is_lost(studio, open_page):
    run_id = studio.finished()
    wrong = [[1] * 10, [3] * 10, [6] * 10]
    curve = {"epsilon": [0.0, 4 / 255, 8 / 255], "wrong": wrong, "count": [10] * 10}
    studio.found(run_id, "curve", curve)
    page = open_page("run", id=run_id, tab="Attack")
    assert "Half of the clean accuracy is lost at linf 8/255." in words(page)
    assert len(page.get("plotly_chart")) == 3


@pytest.mark.parametrize(
    ("passed", "verdict"),
    [(True, "No sign of it: it passes 2 checks."), (False, "**1 of 2 checks failed")],
)
def test_masking_checks_stand_with_their_reasons(studio, open_page, passed, verdict):
    run_id = studio.finished()
    checks = [
        {"name": "random starts end alike", "passed": True, "reason": "Spread is 0.01.",
         "figures": {}},
        {"name": "more steps do not help", "passed": passed, "reason": "It rises.", "figures": {}},
    ]  # fmt: skip
    studio.found(run_id, "masking", {"checks": checks})
    said = words(open_page("run", id=run_id, tab="Attack"))
    assert verdict in said
    assert ("Failed: more steps do not help" in said) is not passed
    assert "Spread is 0.01." in said


def test_the_attack_tab_shows_the_command_that_makes_more(studio, open_page):
    run_id = studio.finished()
    page = open_page("run", id=run_id, tab="Attack")
    assert page.code[-1].value.startswith(f"caat evaluate {run_id[:8]}")


def test_epoch_and_quantity_come_from_the_link(studio, open_page):
    link = {"id": studio.finished(), "tab": "Samples", "epoch": "2", "quantity": "Bound"}
    page = open_page("run", **link, labels="Wrong labels")
    assert page.select_slider[0].value == 2
    assert page.selectbox(key="quantity").value == "bound"
    assert "Bound: highest mean in class j" in words(page)


def test_the_gallery_shows_images_of_the_chosen_class(studio, open_page):
    page = open_page("run", id=studio.finished(), tab="Samples", **{"class": "class a"})
    said = words(page)
    assert "**class a** :gray[· sample 0]" in said
    assert "**class b**" not in said
    assert len(page.get("image")) == 2 * 5


def one_tab(run_id: str, name: str) -> None:
    """A page that is one tab of a run and nothing else."""
    from app.data import cached
    from app.run_tabs.tabs import TABS

    TABS[name](cached.run(run_id))


@pytest.fixture
def tab(studio, monkeypatch):
    """Draw one tab of a finished run alone."""
    monkeypatch.setattr(st, "page_link", lambda *_, **__: None)  # there is no other page

    def drawn(run_id: str, name: str) -> AppTest:
        page = AppTest.from_function(one_tab, args=(run_id, name)).run()
        assert not page.exception
        return page

    return drawn


def test_every_file_of_a_run_is_called_by_the_first_eight_letters_of_its_id(
    studio, tab, monkeypatch
):
    run_id, names = studio.finished(), []
    draw = st.download_button

    def noted(*given, file_name, **options):
        names.append(file_name)
        return draw(*given, file_name=file_name, **options)

    monkeypatch.setattr(st, "download_button", noted)
    for name in ("Classes", "Samples", "Attack"):
        tab(run_id, name)
    assert {name.partition("-")[0] for name in names} >= {"classes", "samples", "attack"}
    for name in names:
        assert run_id[:8] in re.split(r"[-.]", name), name


def test_of_choices_that_stand_in_a_row_one_is_always_chosen(studio, tab):
    run_id = studio.finished()
    rows = [row for name in ("Classes", "Samples") for row in tab(run_id, name).button_group]
    assert [row.label for row in rows] == ["Measured on", "Labels"]
    assert all(row.proto.required for row in rows)


def test_the_list_of_attacks_has_average_and_worst_class_in_percent(studio, tab):
    listed = tab(studio.finished(), "Attack").dataframe[-1].value
    assert listed["robust"].tolist() == pytest.approx([40.0])
    assert listed["worst"].tolist() == pytest.approx([70.0])
