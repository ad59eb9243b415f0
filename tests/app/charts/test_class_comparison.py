"""One error of every class, run beside run."""

import pandas as pd
import pytest

from app.charts.class_comparison import class_comparison
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named, rows, whiskers

COLUMNS = ["class", "title", "method", "variant", "value", "low", "high", "n"]
ERRORS = [
    ("cat", "CAAT run", "caat", 0, 0.3, 0.25, 0.5, 40),
    ("dog", "CAAT run", "caat", 0, 0.9, 0.7, 1.0, 50),
    ("owl", "CAAT run", "caat", 0, 0.1, 0.0, 0.4, 60),
    ("cat", "PGD run", "pgd-at", 1, 0.5, 0.45, 0.7, 41),
    ("dog", "PGD run", "pgd-at", 1, 1.0, 0.8, 1.0, 51),
    ("owl", "PGD run", "pgd-at", 1, 0.0, 0.0, 0.1, 61),
]
"""The mean errors are 40 % for cat, 95 % for dog and 5 % for owl."""


def table() -> pd.DataFrame:
    return pd.DataFrame(ERRORS, columns=COLUMNS).assign(card="PGD-20")


def test_the_class_with_the_largest_mean_error_is_on_top():
    axis = class_comparison(table()).layout.yaxis
    assert rows(axis) == {"owl": 0, "cat": 1, "dog": 2}
    assert not is_reversed(axis)


def test_a_dot_stands_at_its_error_in_its_class_and_the_first_run_above_the_second():
    figure = class_comparison(table())
    assert legend(figure) == ["CAAT run", "PGD run"]
    assert marks(named(figure, "CAAT run")) == [(0.3, 1.11), (0.9, 2.11), (0.1, 0.11)]
    assert marks(named(figure, "PGD run")) == [(0.5, 0.89), (1.0, 1.89), (0.0, -0.11)]


def test_whiskers_reach_from_low_to_high():
    figure = class_comparison(table())
    assert whiskers(named(figure, "CAAT run")) == [(0.25, 0.5), (0.7, 1.0), (0.0, 0.4)]
    assert whiskers(named(figure, "PGD run")) == [(0.45, 0.7), (0.8, 1.0), (0.0, 0.1)]


def test_the_axis_is_percent_and_holds_errors_of_nothing_and_of_everything():
    axis = class_comparison(table()).layout.xaxis
    assert (axis.title.text, axis.tickformat) == ("Error", ".0%")
    assert holds(axis, 0, 1)
    assert not is_reversed(axis)


def test_a_run_has_the_colour_of_its_method_and_a_second_one_another_filling():
    figure = class_comparison(table())
    caat, pgd = named(figure, "CAAT run"), named(figure, "PGD run")
    assert (caat.marker.color, caat.marker.symbol) == ("#bd1f01", "star")
    assert (pgd.marker.color, pgd.marker.symbol) == ("#3f90da", "circle-open")
    assert (caat.error_x.color, pgd.error_x.color) == ("#bd1f01", "#3f90da")


def test_the_hover_text_tells_class_error_interval_images_protocol_and_run():
    figure = class_comparison(table())
    assert hovers(named(figure, "PGD run")) == [
        "<b>cat</b>: 50.0% (45.0% to 70.0%, n = 41)<br>PGD-20<extra>PGD run</extra>",
        "<b>dog</b>: 100.0% (80.0% to 100.0%, n = 51)<br>PGD-20<extra>PGD run</extra>",
        "<b>owl</b>: 0.0% (0.0% to 10.0%, n = 61)<br>PGD-20<extra>PGD run</extra>",
    ]


def many_runs(count: int) -> pd.DataFrame:
    parts = [table().query("title == 'CAAT run'").assign(title=f"run {i}") for i in range(count)]
    return pd.concat(parts)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 20])
def test_however_many_runs_there_are_no_dot_leaves_the_row_of_its_class(count):
    figure = class_comparison(many_runs(count))
    place = rows(figure.layout.yaxis)
    for i in range(count):
        trace = named(figure, f"run {i}")
        for name, (_, y) in zip(("cat", "dog", "owl"), marks(trace), strict=True):
            assert abs(y - place[name]) < 0.5
            assert holds(figure.layout.yaxis, y)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_no_two_runs_lie_upon_each_other_and_they_stand_in_their_order_from_above(count):
    figure = class_comparison(many_runs(count))
    heights = [marks(named(figure, f"run {i}"))[0][1] for i in range(count)]
    assert heights == sorted(set(heights), reverse=True)


def test_a_class_that_a_run_lacks_keeps_the_others_on_their_rows():
    figure = class_comparison(table().drop(index=3))  # the cats of the PGD run
    assert rows(figure.layout.yaxis) == {"owl": 0, "cat": 1, "dog": 2}
    assert marks(named(figure, "PGD run")) == [(1.0, 1.89), (0.0, -0.11)]


def test_one_class_and_one_run_stand_in_the_middle_of_their_row():
    figure = class_comparison(table().iloc[[1]])
    assert rows(figure.layout.yaxis) == {"dog": 0}
    assert marks(named(figure, "CAAT run")) == [(0.9, 0)]


def test_more_classes_and_more_runs_make_the_picture_higher():
    low = class_comparison(table().query("title == 'CAAT run'")).layout.height
    assert class_comparison(table()).layout.height > low
    assert low > class_comparison(table().iloc[[0]]).layout.height
