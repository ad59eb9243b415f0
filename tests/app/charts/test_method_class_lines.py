"""Which classes each method fails: a line per method, the easiest class first."""

import pandas as pd

from app.charts.base import MAX_CLASSES, MOST_LINES
from app.charts.method_class_lines import method_class_lines

COLUMNS = ["title", "method", "class", "class_index", "value"]
ERRORS = [
    ("WAT", "wat", "ant", 1, 0.1),
    ("WAT", "wat", "zebra", 0, 0.9),
    ("CAAT", "caat", "zebra", 0, 0.7),
    ("CAAT", "caat", "ant", 1, 0.4),
    ("CAAT 2", "caat", "ant", 1, 0.2),
]


def table() -> pd.DataFrame:
    return pd.DataFrame(ERRORS, columns=COLUMNS)


def test_a_line_goes_from_the_easiest_class_to_the_hardest():
    figure = method_class_lines(table())
    assert [line.name for line in figure.data] == ["WAT", "CAAT", "CAAT 2"]
    assert list(figure.layout.xaxis.ticktext) == ["ant", "zebra"]
    assert [list(line.y) for line in figure.data] == [[0.1, 0.9], [0.4, 0.7], [0.2]]
    assert list(figure.data[2].x) == [0]  # a class that a method lacks is left out of its line


def test_two_rows_of_one_method_share_a_colour_and_differ_in_dash_and_sign():
    _, one, two = method_class_lines(table()).data
    assert one.line.color == two.line.color
    assert one.line.dash != two.line.dash
    assert one.marker.symbol != two.marker.symbol


def test_of_many_classes_the_worst_are_drawn_and_of_many_methods_the_fairest():
    rows = [
        (f"m{m}", f"m{m}", f"c{c}", c, (m + c / 1000) / 20) for m in range(15) for c in range(50)
    ]
    figure = method_class_lines(pd.DataFrame(rows, columns=COLUMNS))
    assert [line.name for line in figure.data] == [f"m{m}" for m in range(MOST_LINES)]
    assert len(figure.data[0].x) == MAX_CLASSES
    assert figure.layout.xaxis.ticktext[-1] == "c49"


def test_names_are_shown_and_not_obeyed():
    rows = [("<b>x</b>", "caat", "<i>y</i>", 0, 0.5)]
    figure = method_class_lines(pd.DataFrame(rows, columns=COLUMNS))
    assert "<b>" not in figure.data[0].name
    assert "<i>" not in figure.layout.xaxis.ticktext[0]
