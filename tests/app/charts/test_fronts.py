"""Fronts: what each method's settings trade, an error under attack against the natural error."""

import pandas as pd
import pytest

from app.charts.fronts import fronts
from tests.app.drawn import holds, hovers, is_reversed, marks

COLUMNS = ["family", "method", "part", "title", "x", "y", "low", "high"]
ROWS = [
    ("wide", "wat", "point", "wide, beta = 1", 0.1, 0.9, 0.9, 0.9),
    ("wide", "wat", "point", "wide, beta = 3", 0.25, 0.65, 0.65, 0.65),
    ("wide", "wat", "point", "wide, beta = 6", 0.3, 0.7, 0.7, 0.7),  # not on the front
    ("wide", "wat", "line", "wide", 0.1, 0.9, 0.82, 0.93),
    ("wide", "wat", "line", "wide", 0.175, 0.775, 0.7, 0.8),
    ("wide", "wat", "line", "wide", 0.25, 0.65, 0.61, 0.69),
    ("alone", "mart", "point", "alone", 0.2, 0.8, 0.8, 0.8),
    ("early", "trades (as-released)", "point", "early, 1/2", 0.15, 0.75, 0.75, 0.75),
    ("early", "trades (as-released)", "point", "early, 1/4", 0.12, 0.8, 0.8, 0.8),
    ("early", "trades (as-released)", "line", "early", 0.12, 0.8, 0.77, 0.88),
    ("early", "trades (as-released)", "line", "early", 0.15, 0.75, 0.74, 0.79),
]


def drawn(rows=ROWS):
    return fronts(pd.DataFrame(rows, columns=COLUMNS))


def dots(figure):
    return {trace.name: trace for trace in figure.data if trace.mode == "markers"}


def lines(figure):
    return [trace for trace in figure.data if trace.mode == "lines" and not trace.fill]


def bands(figure):
    return [trace for trace in figure.data if trace.fill]


def test_every_setting_is_a_dot_of_the_methods_colour_and_shape_also_off_the_front():
    found = dots(drawn()).items()
    assert {name: (marks(dot), dot.marker.color, dot.marker.symbol) for name, dot in found} == {
        "wide": ([(0.1, 0.9), (0.25, 0.65), (0.3, 0.7)], "#b9ac70", "octagon"),
        "alone": ([(0.2, 0.8)], "#a96b59", "pentagon"),
        "early": ([(0.15, 0.75), (0.12, 0.8)], "#ffa90e", "diamond-open"),
    }


def test_a_family_of_a_single_setting_has_a_dot_and_neither_line_nor_band():
    assert [trace.mode for trace in drawn().data if trace.legendgroup == "alone"] == ["markers"]
    (only,) = drawn([row for row in ROWS if row[0] == "alone"]).data
    assert (only.mode, marks(only)) == ("markers", [(0.2, 0.8)])


def test_the_line_runs_along_the_front_in_the_colour_and_dash_of_the_method():
    wide, early = lines(drawn())
    assert marks(wide) == [(0.1, 0.9), (0.175, 0.775), (0.25, 0.65)]
    assert marks(early) == [(0.12, 0.8), (0.15, 0.75)]
    assert (wide.line.color, wide.line.dash) == ("#b9ac70", "longdash")
    assert (early.line.color, early.line.dash) == ("#ffa90e", "dash")
    assert {wide.line.shape, early.line.shape} <= {None, "linear"}


def test_the_band_runs_between_low_and_high_faint_in_the_colour_of_the_method():
    wide, early = bands(drawn())
    upper, lower = [(0.1, 0.93), (0.175, 0.8), (0.25, 0.69)], [(0.25, 0.61), (0.175, 0.7)]
    assert marks(wide) == [*upper, *lower, (0.1, 0.82)]
    assert marks(early) == [(0.12, 0.88), (0.15, 0.79), (0.15, 0.74), (0.12, 0.77)]
    assert wide.fillcolor == "rgba(185, 172, 112, 0.14)"
    assert early.fillcolor == "rgba(255, 169, 14, 0.14)"


def test_the_band_is_behind_the_line_and_the_line_behind_the_dots():
    figure = drawn()
    wide = [trace for trace in figure.data if trace.legendgroup == "wide"]
    assert wide == [bands(figure)[0], lines(figure)[0], dots(figure)["wide"]]


@pytest.mark.parametrize("order", [["wide", "alone", "early"], ["early", "wide", "alone"]])
def test_a_family_stands_once_in_the_legend_in_the_order_of_the_table(order):
    figure = drawn(sorted(ROWS, key=lambda row: order.index(row[0])))
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == order
    assert figure.layout.showlegend is not False
    assert figure.layout.legend.traceorder == "normal"


def test_line_band_and_dots_of_a_family_hide_together():
    figure = drawn()
    groups = [trace.legendgroup for trace in figure.data]
    assert groups == ["wide", "wide", "wide", "alone", "early", "early", "early"]
    assert figure.layout.legend.groupclick != "toggleitem"


def test_errors_in_percent_grow_to_the_right_and_upwards():
    layout = drawn().layout
    assert layout.xaxis.title.text == "Natural error"
    assert layout.yaxis.title.text == "Error under attack"
    for axis, ends in ((layout.xaxis, (0.1, 0.3)), (layout.yaxis, (0.61, 0.93))):
        assert (axis.tickformat, is_reversed(axis), holds(axis, *ends)) == (".0%", False, True)


def test_the_hover_text_of_a_dot_tells_its_setting_and_both_errors():
    text = "<b>early, 1/4</b>: natural 12.0%, under attack 80.0%<extra></extra>"
    assert hovers(dots(drawn())["early"])[1] == text


def test_the_hover_text_of_a_line_tells_its_family_and_of_a_band_nothing():
    figure = drawn()
    assert hovers(lines(figure)[0])[1] == "<b>wide</b>, its front: 77.5% at 17.5%<extra></extra>"
    assert [trace.hoverinfo for trace in bands(figure)] == ["skip", "skip"]
    assert figure.layout.hovermode == "closest"


def test_names_are_shown_as_they_are():
    rows = [("<i>f", method, part, "<i>s", *rest) for _, method, part, _, *rest in ROWS[:6]]
    figure = drawn(rows)
    assert hovers(dots(figure)["&lt;i&gt;f"])[0].startswith("<b>&lt;i&gt;s</b>: ")
    assert hovers(lines(figure)[0])[0].startswith("<b>&lt;i&gt;f</b>, ")


def test_two_families_of_one_method_share_its_colour_and_are_told_apart():
    twice = [*ROWS[6:7], ("other", "mart", "point", "other", 0.3, 0.6, 0.6, 0.6)]
    alone, other = dots(drawn(twice)).values()
    assert alone.marker.color == other.marker.color
    assert alone.marker.symbol != other.marker.symbol
