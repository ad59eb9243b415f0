"""How much more each class errs than in a baseline run."""

import pandas as pd

from app.charts.class_difference import class_difference
from tests.app.drawn import holds, hovers, is_reversed, legend, lines_at, marks, rows, whiskers

COLUMNS = ["class", "title", "method", "variant", "value", "low", "high", "corrected", "differs"]
DIFFERENCES = [
    ("cat", "CAAT run", "caat", 0, 0.1, -0.05, 0.4, 0.3, False),
    ("dog", "CAAT run", "caat", 0, -0.3, -0.35, -0.1, 0.002, True),
    ("owl", "CAAT run", "caat", 0, 0.6, 0.2, 0.7, 0.004, True),
    ("cat", "WAT run", "wat", 0, 0.0, -0.2, 0.1, 1.0, False),
    ("dog", "WAT run", "wat", 0, -0.1, -0.15, 0.2, 0.9, False),
    ("owl", "WAT run", "wat", 0, 0.2, -0.1, 0.25, 0.8, False),
]
"""The means are 5 points for cat, -20 for dog and 40 for owl."""


def table() -> pd.DataFrame:
    return pd.DataFrame(DIFFERENCES, columns=COLUMNS).assign(n=[200, 300, 400] * 2)


def parts(figure, title):
    """Return the dots of a run by whether they are strong."""
    return {trace.opacity == 1: trace for trace in figure.data if trace.name == title}


def test_the_class_that_loses_most_is_on_top():
    axis = class_difference(table()).layout.yaxis
    assert rows(axis) == {"dog": 0, "cat": 1, "owl": 2}
    assert not is_reversed(axis)


def test_what_differs_is_strong_and_what_may_be_chance_is_faint():
    caat = parts(class_difference(table()), "CAAT run")
    assert marks(caat[True]) == [(-0.3, 0.11), (0.6, 2.11)]
    assert marks(caat[False]) == [(0.1, 1.11)]
    assert caat[True].opacity == 1
    assert 0.2 <= caat[False].opacity <= 0.5


def test_a_run_without_a_difference_is_faint_throughout_and_below_the_first():
    wat = parts(class_difference(table()), "WAT run")
    assert set(wat) == {False}
    assert marks(wat[False]) == [(0.0, 0.89), (-0.1, -0.11), (0.2, 1.89)]


def test_whiskers_reach_from_low_to_high():
    figure = class_difference(table())
    assert whiskers(parts(figure, "CAAT run")[True]) == [(-0.35, -0.1), (0.2, 0.7)]
    assert whiskers(parts(figure, "CAAT run")[False]) == [(-0.05, 0.4)]
    assert whiskers(parts(figure, "WAT run")[False]) == [(-0.2, 0.1), (-0.15, 0.2), (-0.1, 0.25)]


def test_each_run_stands_once_in_the_legend_with_a_strong_dot_where_it_has_one():
    figure = class_difference(table())
    assert sorted(legend(figure)) == ["CAAT run", "WAT run"]
    assert parts(figure, "CAAT run")[True].showlegend is True
    assert parts(figure, "WAT run")[False].showlegend is True


def test_a_click_in_the_legend_takes_strong_and_faint_dots_of_a_run():
    caat = parts(class_difference(table()), "CAAT run")
    assert caat[True].legendgroup == caat[False].legendgroup == "CAAT run"


def test_a_line_stands_at_the_baselines_zero():
    assert lines_at(class_difference(table())) == [0]


def test_left_is_better_and_the_axis_is_signed_percent_that_holds_all():
    axis = class_difference(table()).layout.xaxis
    assert axis.title.text == "Error less the baseline's (left: better)"
    assert axis.tickformat == "+.0%"
    assert holds(axis, -1, 1)
    assert not is_reversed(axis)


def test_a_run_has_the_colour_of_its_method_strong_or_faint():
    figure = class_difference(table())
    caat, wat = parts(figure, "CAAT run"), parts(figure, "WAT run")
    assert {caat[sure].marker.color for sure in (True, False)} == {"#bd1f01"}
    assert {caat[sure].error_x.color for sure in (True, False)} == {"#bd1f01"}
    assert (wat[False].marker.color, wat[False].marker.symbol) == ("#b9ac70", "octagon")


def test_the_hover_text_tells_difference_interval_images_and_p_value():
    caat = parts(class_difference(table()), "CAAT run")
    assert hovers(caat[True]) == [
        "<b>dog</b>: -30.0% (-35.0% to -10.0%, n = 300)<br>corrected p = 0.00200"
        "<extra>CAAT run</extra>",
        "<b>owl</b>: +60.0% (+20.0% to +70.0%, n = 400)<br>corrected p = 0.00400"
        "<extra>CAAT run</extra>",
    ]


def test_one_class_that_differs_by_nothing_stands_on_the_line():
    figure = class_difference(table().iloc[[3]])
    assert marks(figure.data[0]) == [(0, 0)]
    assert legend(figure) == ["WAT run"]


def test_no_dot_of_many_runs_leaves_the_row_of_its_class():
    many = pd.concat([table().iloc[:3].assign(title=f"run {i}") for i in range(9)])
    figure = class_difference(many)
    places = sorted(y for trace in figure.data for _, y in marks(trace))
    assert len(set(places)) == 27
    assert [round(y) for y in places] == [0] * 9 + [1] * 9 + [2] * 9
    assert holds(figure.layout.yaxis, *places)
