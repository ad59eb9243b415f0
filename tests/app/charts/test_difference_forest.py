"""How much more each method errs than a reference over common seeds."""

import numpy as np
import pandas as pd
import pytest

from app.charts.difference_forest import difference_forest
from tests.app.drawn import holds, hovers, is_reversed, lines_at, marks, rows, whiskers

COLUMNS = ["title", "method", "value", "low", "high", "corrected", "differs", "n"]
DIFFERENCES = [
    ("WAT", "wat", 0.04, 0.01, 0.09, 0.02, True, 4),
    ("CAAT", "caat", -0.03, -0.06, -0.01, 0.0041234, True, 5),
    ("One", "faal", 0.3, np.nan, np.nan, np.nan, False, 1),
    ("TRADES", "trades (as-released)", -0.02, -0.05, 0.02, 0.3, False, 3),
    ("Two", "mart", 0.1, -0.2, 0.4, np.nan, False, 2),
]
"""From the smallest: CAAT, TRADES, WAT, Two, One."""
PLACES = {"One": 0, "Two": 1, "WAT": 2, "TRADES": 3, "CAAT": 4}


def table() -> pd.DataFrame:
    return pd.DataFrame(DIFFERENCES, columns=COLUMNS)


def dots(figure):
    """Return the dot of each method by the name of the row in which it stands."""
    names = {place: name for name, place in rows(figure.layout.yaxis).items()}
    found = {names[trace.y[0]]: trace for trace in figure.data}
    assert len(found) == len(figure.data)
    return found


def test_the_smallest_difference_is_on_top():
    axis = difference_forest(table()).layout.yaxis
    assert rows(axis) == PLACES
    assert not is_reversed(axis)
    assert holds(axis, 0, 4)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 2, 0, 1, 3]])
def test_a_difference_stands_in_the_row_of_its_name_whatever_the_tables_order(order):
    found = dots(difference_forest(table().iloc[order]))
    assert {name: marks(trace) for name, trace in found.items()} == {
        "One": [(0.3, 0)],
        "Two": [(0.1, 1)],
        "WAT": [(0.04, 2)],
        "TRADES": [(-0.02, 3)],
        "CAAT": [(-0.03, 4)],
    }


def test_whiskers_reach_from_low_to_high_and_have_no_length_without_an_interval():
    found = dots(difference_forest(table()))
    assert {name: whiskers(trace) for name, trace in found.items()} == {
        "One": [(0.3, 0.3)],
        "Two": [(-0.2, 0.4)],
        "WAT": [(0.01, 0.09)],
        "TRADES": [(-0.05, 0.02)],
        "CAAT": [(-0.06, -0.01)],
    }


def test_what_differs_is_strong_for_better_or_worse_and_what_may_be_chance_is_faint():
    found = dots(difference_forest(table()))
    assert [found[name].opacity for name in ("CAAT", "WAT")] == [1, 1]
    assert all(0.2 <= found[name].opacity <= 0.5 for name in ("TRADES", "Two", "One"))


def test_a_line_stands_at_the_references_zero():
    assert lines_at(difference_forest(table())) == [0]


def test_left_is_better_and_the_axis_is_signed_percent_that_holds_all():
    axis = difference_forest(table()).layout.xaxis
    assert axis.title.text == "Error less the reference's (left: better)"
    assert axis.tickformat == "+.0%"
    assert holds(axis, -1, 1)
    assert not is_reversed(axis)


def test_dot_and_whiskers_have_the_colour_and_shape_of_the_method_strong_or_faint():
    found = dots(difference_forest(table()))
    looks = {name: (dot.marker.color, dot.marker.symbol) for name, dot in found.items()}
    assert looks == {
        "One": ("#92dadd", "hexagram"),
        "Two": ("#a96b59", "pentagon"),
        "WAT": ("#b9ac70", "octagon"),
        "TRADES": ("#ffa90e", "diamond-open"),
        "CAAT": ("#bd1f01", "star"),
    }
    assert all(dot.error_x.color == dot.marker.color for dot in found.values())


def test_names_stand_at_the_rows_and_in_no_legend():
    assert difference_forest(table()).layout.showlegend is False


def test_the_hover_text_tells_difference_interval_p_value_and_seeds():
    found = dots(difference_forest(table()))
    assert hovers(found["CAAT"]) == [
        "<b>CAAT</b>: -3.00% (-6.00% to -1.00%)<br>corrected p = 0.00412, 5 common seeds"
        "<extra></extra>"
    ]


def test_the_hover_text_of_two_seeds_has_an_interval_and_of_one_none_and_neither_a_test():
    found = dots(difference_forest(table()))
    (two,), (one,) = hovers(found["Two"]), hovers(found["One"])
    assert two.startswith("<b>Two</b>: +10.00% (-20.00% to ")
    assert two.endswith("<br>no test, 2 common seeds<extra></extra>")
    assert one.startswith("<b>One</b>: +30.00%<br>no test, 1 common seed<extra></extra>")


def test_one_row_alone_stands_beside_the_line():
    figure = difference_forest(table().iloc[[2]])
    assert rows(figure.layout.yaxis) == {"One": 0}
    assert [marks(trace) for trace in figure.data] == [[(0.3, 0)]]
    assert lines_at(figure) == [0]
