"""Natural against robust accuracy: one point per scenario, and the Pareto front."""

import numpy as np
import pandas as pd
import pytest

from app.charts.tradeoff import tradeoff
from app.text.palette import MUTED
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named, whiskers

TABLE = pd.DataFrame(
    {
        "group": ["g1", "g2", "g3"],
        "title": ["robust one", "accurate one", "beaten one"],
        "method": ["caat", "standard", "caat"],
        "n": [3, 1, 2],
        "seeds": ["0, 1, 2", "7", "0, 1"],
        "card": "PGD-20",
        "front": [True, True, False],
        "size": [0.25, 0.0, 1.0],
        "other_x": [0.6, 0.9, 0.55],
        "other_y": [0.5, 0.1, 0.3],
        "x": [0.6, 0.9, 0.55],
        "x_min": [0.5, 0.9, 0.45],
        "x_max": [0.65, 0.9, 0.57],
        "x_low": [0.52, np.nan, 0.1],
        "x_high": [0.68, np.nan, 0.99],
        "y": [0.5, 0.1, 0.3],
        "y_min": [0.2, 0.1, 0.25],
        "y_max": [0.55, 0.1, 0.4],
        "y_low": [0.41, np.nan, 0.0],
        "y_high": [0.59, np.nan, 0.9],
    }
)


def test_natural_accuracy_goes_to_the_right_and_robust_accuracy_upwards():
    figure = tradeoff(TABLE)
    assert marks(named(figure, "caat")) == [(0.6, 0.5), (0.55, 0.3)]
    assert marks(named(figure, "standard")) == [(0.9, 0.1)]
    for axis, title in ((figure.layout.xaxis, "Natural"), (figure.layout.yaxis, "Robust")):
        assert (axis.title.text, axis.tickformat) == (f"{title} accuracy", ".0%")
        assert not is_reversed(axis)


def test_whiskers_reach_from_the_smallest_to_the_largest_seed_on_both_axes():
    figure = tradeoff(TABLE)
    assert whiskers(named(figure, "caat"), "x") == [(0.5, 0.65), (0.45, 0.57)]
    assert whiskers(named(figure, "caat"), "y") == [(0.2, 0.55), (0.25, 0.4)]
    assert whiskers(named(figure, "standard"), "x") == [(0.9, 0.9)]
    assert whiskers(named(figure, "standard"), "y") == [(0.1, 0.1)]


def test_the_axes_hold_every_whisker():
    layout = tradeoff(TABLE).layout
    assert holds(layout.xaxis, 0.45, 0.9)
    assert holds(layout.yaxis, 0.1, 0.55)


def test_the_axes_hold_what_else_they_have_to_hold():
    layout = tradeoff(TABLE.assign(other_x=[0.6, 0.97, 0.2], other_y=[0.7, 0.1, 0.02])).layout
    assert holds(layout.xaxis, 0.2, 0.97)
    assert holds(layout.yaxis, 0.02, 0.7)


def test_the_front_is_a_stair_from_the_left_edge_down_to_the_lower_one():
    figure = tradeoff(TABLE.iloc[::-1])
    front = named(figure, "Pareto front")
    left, bottom = figure.layout.xaxis.range[0], figure.layout.yaxis.range[0]
    assert marks(front) == [
        (round(left, 6), 0.5),
        (0.6, 0.5),
        (0.9, 0.1),
        (0.9, round(bottom, 6)),
    ]
    assert front.line.shape == "vh"  # down first, then to the right: what lies under it is beaten
    assert (front.line.color, front.line.dash, front.hoverinfo) == (MUTED, "dot", "skip")


def test_no_beaten_point_is_on_the_front():
    assert (0.55, 0.3) not in marks(named(tradeoff(TABLE), "Pareto front"))


def test_points_of_the_front_are_strong_and_named_and_the_beaten_are_neither():
    caat = named(tradeoff(TABLE), "caat")
    assert list(caat.text) == ["robust one", ""]
    assert list(caat.marker.opacity) == [1, 0.6]


def test_a_larger_dot_is_a_better_worst_class():
    figure = tradeoff(TABLE)
    assert list(named(figure, "caat").marker.size) == [12, 24]
    assert list(named(figure, "standard").marker.size) == [8]


def test_each_method_has_its_colour_and_shape_and_whiskers_like_it():
    figure = tradeoff(TABLE)
    caat, standard = named(figure, "caat"), named(figure, "standard")
    assert (caat.marker.color, caat.marker.symbol) == ("#bd1f01", "star")
    assert (standard.marker.color, standard.marker.symbol) == ("#717581", "square")
    assert caat.error_x.color == caat.error_y.color == "#bd1f01"
    assert legend(figure) == ["Pareto front", "caat", "standard"]


def test_the_hover_text_tells_scenario_seeds_accuracies_intervals_and_worst_class():
    figure = tradeoff(TABLE)
    assert hovers(named(figure, "caat"))[0] == (
        "<b>robust one</b>, seeds 0, 1, 2<br>"
        "natural 60.0% (95 % interval 52.0 % to 68.0 %)<br>"
        "robust 50.0% (95 % interval 41.0 % to 59.0 %)<br>"
        "worst class, robust: 25.0%<br>PGD-20<extra>caat</extra>"
    )
    assert hovers(named(figure, "standard")) == [
        "<b>accurate one</b>, one seed (7)<br>natural 90.0%<br>robust 10.0%<br>"
        "worst class, robust: 0.0%<br>PGD-20<extra>standard</extra>"
    ]


def test_a_point_carries_the_group_that_a_click_chooses():
    figure = tradeoff(TABLE)
    assert [row[0] for row in named(figure, "caat").customdata] == ["g1", "g3"]
    assert figure.layout.clickmode == "event+select"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_single_point_at_the_end_of_the_scale_is_not_at_the_edge(value):
    ends = [f"{axis}{end}" for axis in "xy" for end in ("", "_min", "_max")]
    one = TABLE.iloc[[1]].assign(**dict.fromkeys([*ends, "other_x", "other_y"], value))
    layout = tradeoff(one).layout
    for axis in (layout.xaxis, layout.yaxis):
        assert axis.range[0] < value < axis.range[1]


def test_a_long_name_is_cut_beside_its_point_and_whole_in_the_hover_text():
    figure = tradeoff(TABLE.assign(title="a" * 30))
    caat = named(figure, "caat")
    assert caat.text[0] == "a" * 25 + "…"
    assert hovers(caat)[0].startswith(f"<b>{'a' * 30}</b>")
    assert named(tradeoff(TABLE.assign(title="a" * 26)), "caat").text[0] == "a" * 26
