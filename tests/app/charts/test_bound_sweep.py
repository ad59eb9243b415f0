"""Error by bound: a line per class over the signed bound, and where the bound in force is."""

import numpy as np
import pandas as pd

from app.charts.bound_sweep import bound_sweep
from app.text.palette import MUTED
from tests.app.drawn import holds, hovers, is_reversed, legend, lines_at, marks, named


def table(current: float = 0.25) -> pd.DataFrame:
    """Class + errs less as its bound falls, class - more; they meet nowhere."""
    plus = [("class +", 0, bound, value) for bound, value in ((-0.5, 0.1), (0.0, 0.3), (0.5, 0.9))]
    minus = [("class -", 1, bound, value) for bound, value in ((-0.5, 1.0), (0.0, 0.6), (0.5, 0.0))]
    columns = ["class", "class_index", "bound", "value"]
    return pd.DataFrame(plus + minus, columns=columns).assign(current=current)


def test_each_class_has_its_errors_over_its_bounds():
    figure = bound_sweep(table())
    assert legend(figure) == ["class +", "class -"]
    assert marks(named(figure, "class +")) == [(-0.5, 0.1), (0.0, 0.3), (0.5, 0.9)]
    assert marks(named(figure, "class -")) == [(-0.5, 1.0), (0.0, 0.6), (0.5, 0.0)]


def test_the_dotted_line_stands_at_the_bound_in_force():
    figure = bound_sweep(table(current=-0.25))
    assert lines_at(figure) == [-0.25]
    (line,) = figure.layout.shapes
    assert (line.line.color, line.line.dash) == (MUTED, "dot")


def test_no_line_stands_where_the_bound_in_force_is_not_among_those_drawn():
    assert not bound_sweep(table(current=np.nan)).layout.shapes


def test_errors_are_percent_and_every_error_is_on_the_picture():
    figure = bound_sweep(table())
    assert figure.layout.yaxis.title.text == "Error"
    assert figure.layout.yaxis.tickformat == ".0%"
    assert figure.layout.yaxis.rangemode == "tozero"
    assert holds(figure.layout.yaxis, 0, 1)
    assert holds(figure.layout.xaxis, -0.5, 0.5)
    assert not is_reversed(figure.layout.yaxis)
    assert hovers(named(figure, "class -")) == [
        "100.0%<extra>class -</extra>",
        "60.0%<extra>class -</extra>",
        "0.0%<extra>class -</extra>",
    ]


def test_the_axis_says_which_side_is_whose():
    axis = bound_sweep(table()).layout.xaxis
    assert axis.title.text == "Bound: anti-adversary below 0, adversary above"
    assert not is_reversed(axis)


def test_two_classes_differ_in_colour_and_in_dash():
    figure = bound_sweep(table())
    plus, minus = named(figure, "class +").line, named(figure, "class -").line
    assert (plus.color, plus.dash) == ("#3f90da", "solid")
    assert (minus.color, minus.dash) == ("#ffa90e", "dash")


def test_one_class_is_drawn_alone():
    figure = bound_sweep(table().query("class_index == 1"))
    assert legend(figure) == ["class -"]
    assert named(figure, "class -").line.color == "#ffa90e"
