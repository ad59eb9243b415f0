"""Natural, boundary and robust error of every class."""

import pandas as pd

from app.charts.class_errors import class_errors
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named, rows, whiskers

NATURAL, BOUNDARY, ROBUST = "Natural error", "Boundary error", "Robust error"
ERRORS = [
    ("cat", "natural_error", 0.2, 0.1, 0.5, 40),
    ("dog", "natural_error", 0.0, 0.0, 0.1, 50),
    ("owl", "natural_error", 0.1, 0.05, 0.12, 60),
    ("cat", "boundary_error", 0.3, 0.25, 0.4, 40),
    ("dog", "boundary_error", 1.0, 0.8, 1.0, 50),
    ("owl", "boundary_error", 0.15, 0.05, 0.2, 60),
    ("cat", "robust_error", 0.5, 0.3, 0.6, 40),
    ("dog", "robust_error", 1.0, 0.9, 1.0, 50),
    ("owl", "robust_error", 0.25, 0.2, 0.4, 60),
]


def table() -> pd.DataFrame:
    columns = ["class", "name", "value", "low", "high", "n"]
    return pd.DataFrame(ERRORS, columns=columns).assign(card="PGD-20, 8/255")


def test_the_class_with_the_worst_robust_error_is_on_top():
    axis = class_errors(table()).layout.yaxis
    assert rows(axis) == {"owl": 0, "cat": 1, "dog": 2}
    assert not is_reversed(axis)


def test_the_three_errors_of_a_class_stand_natural_boundary_robust_from_above():
    figure = class_errors(table())
    assert legend(figure) == [NATURAL, BOUNDARY, ROBUST]
    assert marks(named(figure, NATURAL)) == [(0.2, 1.22), (0.0, 2.22), (0.1, 0.22)]
    assert marks(named(figure, BOUNDARY)) == [(0.3, 1), (1.0, 2), (0.15, 0)]
    assert marks(named(figure, ROBUST)) == [(0.5, 0.78), (1.0, 1.78), (0.25, -0.22)]


def test_whiskers_reach_from_low_to_high():
    figure = class_errors(table())
    assert whiskers(named(figure, NATURAL)) == [(0.1, 0.5), (0.0, 0.1), (0.05, 0.12)]
    assert whiskers(named(figure, BOUNDARY)) == [(0.25, 0.4), (0.8, 1.0), (0.05, 0.2)]
    assert whiskers(named(figure, ROBUST)) == [(0.3, 0.6), (0.9, 1.0), (0.2, 0.4)]


def test_the_axes_hold_every_dot_and_both_ends_of_the_scale():
    layout = class_errors(table()).layout
    assert (layout.xaxis.title.text, layout.xaxis.tickformat) == ("Error", ".0%")
    assert holds(layout.xaxis, 0, 1)
    assert holds(layout.yaxis, -0.22, 2.22)
    assert not is_reversed(layout.xaxis)


def test_each_error_has_its_colour_and_shape_and_whiskers_like_it():
    figure = class_errors(table())
    looks = {
        trace.name: (trace.marker.color, trace.marker.symbol, trace.error_x.color)
        for trace in figure.data
    }
    assert looks == {
        NATURAL: ("#0072b2", "circle", "#0072b2"),
        BOUNDARY: ("#e69f00", "triangle-up", "#e69f00"),
        ROBUST: ("#d55e00", "diamond", "#d55e00"),
    }


def test_the_hover_text_tells_class_error_interval_images_and_protocol():
    assert hovers(named(class_errors(table()), BOUNDARY)) == [
        "<b>cat</b>: 30.0% (25.0% to 40.0%, n = 40)<br>PGD-20, 8/255<extra>Boundary error</extra>",
        "<b>dog</b>: 100.0% (80.0% to 100.0%, n = 50)<br>PGD-20, 8/255"
        "<extra>Boundary error</extra>",
        "<b>owl</b>: 15.0% (5.0% to 20.0%, n = 60)<br>PGD-20, 8/255<extra>Boundary error</extra>",
    ]


def test_one_class_has_its_three_errors_in_one_row():
    figure = class_errors(table()[table()["class"] == "dog"])
    assert rows(figure.layout.yaxis) == {"dog": 0}
    assert [marks(trace) for trace in figure.data] == [[(0, 0.22)], [(1, 0)], [(1, -0.22)]]


def test_each_of_thirty_classes_has_a_row_of_its_own_and_room_for_its_name():
    many = pd.concat([table().iloc[[0, 3, 6]].assign(**{"class": f"c{i}"}) for i in range(30)])
    many.loc[many["name"] == "robust_error", "value"] = [i / 30 for i in range(30)]
    layout = class_errors(many).layout
    assert list(rows(layout.yaxis)) == [f"c{i}" for i in range(30)]
    assert list(rows(layout.yaxis).values()) == list(range(30))
    assert layout.height >= 30 * 20  # pixels


def test_an_error_that_nobody_counted_has_no_mark_and_the_others_have_theirs():
    counted = table()[lambda rows: rows["name"] != "boundary_error"]
    figure = class_errors(counted)
    assert marks(named(figure, BOUNDARY)) == []
    assert marks(named(figure, ROBUST)) == marks(named(class_errors(table()), ROBUST))
