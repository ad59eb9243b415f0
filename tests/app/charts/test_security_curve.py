"""Security curve: robust accuracy as the attack's radius grows."""

import pandas as pd

from app.charts.security_curve import security_curve
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named

COLUMNS = ["name", "epsilon", "value", "low", "high", "n", "class"]
POINTS = [
    ("average", 8 / 255, 0.5, 0.45, 0.6, 100, ""),
    ("worst", 8 / 255, 0.0, 0.0, 0.25, 10, "cat"),
    ("average", 0.0, 1.0, 0.9, 1.0, 100, ""),
    ("worst", 0.0, 0.7, 0.4, 0.75, 10, "dog"),
    ("average", 2 / 255, 0.8, 0.6, 0.85, 100, ""),
    ("worst", 2 / 255, 0.3, 0.25, 0.5, 10, "cat"),
]


def table() -> pd.DataFrame:
    return pd.DataFrame(POINTS, columns=COLUMNS)


def bands(figure):
    return [trace for trace in figure.data if trace.fill]


def test_average_and_worst_class_go_over_the_radii_in_255ths():
    figure = security_curve(table())
    assert legend(figure) == ["Average", "Worst class"]
    assert marks(named(figure, "Average")) == [(0, 1), (2, 0.8), (8, 0.5)]
    assert marks(named(figure, "Worst class")) == [(0, 0.7), (2, 0.3), (8, 0)]


def test_a_band_goes_along_the_upper_ends_and_back_along_the_lower_ones():
    average, worst = bands(security_curve(table()))
    assert marks(average) == [(0, 1), (2, 0.85), (8, 0.6), (8, 0.45), (2, 0.6), (0, 0.9)]
    assert marks(worst) == [(0, 0.75), (2, 0.5), (8, 0.25), (8, 0), (2, 0.25), (0, 0.4)]


def test_a_band_is_faint_in_the_colour_of_its_line_and_behind_it():
    figure = security_curve(table())
    average, worst = bands(figure)
    assert average.fillcolor == "rgba(0, 114, 178, 0.14)"
    assert worst.fillcolor == "rgba(213, 94, 0, 0.14)"
    assert named(figure, "Average").line.color == "#0072b2"
    assert named(figure, "Worst class").line.color == "#d55e00"
    assert (average.showlegend, average.hoverinfo) == (False, "skip")
    assert list(figure.data).index(worst) < list(figure.data).index(named(figure, "Worst class"))


def test_every_radius_has_its_tick():
    axis = security_curve(table()).layout.xaxis
    assert axis.title.text == "Radius of the attack, in 255ths"
    assert [round(tick, 6) for tick in axis.tickvals] == [0, 2, 8]
    assert holds(axis, 0, 8)
    assert not is_reversed(axis)


def test_the_upright_axis_is_percent_and_holds_accuracies_of_nothing_and_of_everything():
    axis = security_curve(table()).layout.yaxis
    assert (axis.title.text, axis.tickformat) == ("Robust accuracy", ".0%")
    assert holds(axis, 0, 1)
    assert not is_reversed(axis)


def test_the_hover_text_tells_accuracy_interval_and_the_worst_class_there():
    figure = security_curve(table())
    assert hovers(named(figure, "Worst class")) == [
        "70.0% (40.0% to 75.0%) dog<extra>Worst class</extra>",
        "30.0% (25.0% to 50.0%) cat<extra>Worst class</extra>",
        "0.0% (0.0% to 25.0%) cat<extra>Worst class</extra>",
    ]
    assert hovers(named(figure, "Average"))[2] == "50.0% (45.0% to 60.0%) <extra>Average</extra>"


def test_one_radius_is_one_point_a_line():
    figure = security_curve(table().query("epsilon == 0"))
    assert marks(named(figure, "Average")) == [(0, 1)]
    assert marks(named(figure, "Worst class")) == [(0, 0.7)]
    assert "markers" in named(figure, "Average").mode
