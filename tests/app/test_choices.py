"""What a person chooses stands in the link, and what a link names is looked for."""

import ast
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.samples.choice import Look
from tests.app.shown import words

APP = Path(__file__).parents[2] / "app"
PETS = {"c": "cat", "d": "dog"}


def one_of(options: dict[str, str]) -> None:
    """A page with one choice."""
    from app.compare.choice import choose_one

    choose_one("Pet", "pet", options)


def a_range(low: float, high: float) -> None:
    """A page with one range of values, which says what was chosen."""
    import numpy as np
    import streamlit as st

    from app.samples.choice import choose_range

    values = np.array([high, low, (low + high) / 2])
    st.text(str(choose_range("Weight", "weight", values)))


def some_samples(run_id: str, labels: str, chosen: tuple[int, ...]) -> None:
    """The samples of a run that meet a choice of labels and classes."""
    from app.data import cached
    from app.samples import browse
    from app.samples.choice import Look

    run = cached.run(run_id)
    browse.draw(Look(run, 3, "bound", labels, size="all", chosen=chosen, size_of=()), None)


def opened(page, *given: object, **link: str) -> AppTest:
    test = AppTest.from_function(page, args=given)
    for name, value in link.items():
        test.query_params[name] = value
    assert not test.run().exception
    return test


def test_a_link_is_said_to_name_what_is_not_here_only_where_it_does():
    for options, link, is_lost in [
        (PETS, {}, False),
        (PETS, {"pet": "d"}, False),
        (PETS, {"pet": ""}, False),
        (PETS, {"pet": "fish"}, True),
        ({}, {}, False),
        ({}, {"pet": "d"}, True),
    ]:
        said = words(opened(one_of, options, **link))
        assert ("What this link names for *Pet* is not here" in said) is is_lost, (options, link)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 5.0), (0.0, 8 / 255), (0.0, 4e4)])
def test_a_range_goes_from_the_smallest_value_to_the_largest_in_two_hundred_steps(low, high):
    page = opened(a_range, low, high)
    (slider,) = page.slider
    assert (slider.min, slider.max, slider.value) == (low, high, (low, high))
    assert slider.step == pytest.approx((high - low) / 200)
    assert page.text[0].value == "None"


def test_a_narrower_range_stands_in_the_link_and_the_whole_one_does_not():
    page = opened(a_range, 0.0, 1.0)
    page.slider[0].set_value((0.25, 0.5)).run()
    assert page.query_params["weight"] == "0.25..0.5"
    assert page.text[0].value == "(0.25, 0.5)"
    page.slider[0].set_value((0.0, 1.0)).run()
    assert "weight" not in page.query_params
    assert page.text[0].value == "None"


UNEVEN = ("head", "head", "tail", "tail")


@pytest.mark.parametrize(
    ("size_of", "size", "chosen", "meant"),
    [
        (UNEVEN, "all", (), ()),
        (UNEVEN, "all", (0, 3), (0, 3)),
        (UNEVEN, "head", (), (0, 1)),
        (UNEVEN, "tail", (), (2, 3)),
        (UNEVEN, "tail", (0, 3), (3,)),
        (UNEVEN, "tail", (0, 1), (2, 3)),
        ((), "head", (), ()),
        ((), "head", (0, 3), (0, 3)),
    ],
)
def test_classes_are_meant_by_size_and_by_name_where_both_leave_some(size_of, size, chosen, meant):
    look = Look(None, 1, "bound", "all", size=size, chosen=chosen, size_of=size_of)
    assert look.classes == look.samples.classes == meant


def test_a_number_of_samples_is_said_to_meet_the_choice_where_labels_or_classes_were_chosen(studio):
    run_id = studio.finished("Done")  # of its 200 samples every fifth has a wrong label
    whole = "of 200 training samples in epoch 3"
    for labels, chosen, said in [
        ("both", (), f"**200** {whole}"),
        ("all", (), f"**200** {whole}"),
        ("clean", (), f"**160** {whole} meet the choice"),
        ("both", (0, 1), f"**40** {whole} meet the choice"),
        ("flipped", (0, 1), f"**20** {whole} meet the choice"),
    ]:
        page = opened(some_samples, run_id, labels, chosen)
        assert said in [element.value for element in page.markdown]


def test_of_choices_that_stand_in_a_row_one_is_always_chosen_on_every_page():
    rows = [
        {word.arg: ast.unparse(word.value) for word in call.keywords}
        for file in APP.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "st.segmented_control"
    ]
    assert len(rows) > 5
    assert {row.get("required") for row in rows} == {"True"}
