"""Distribution by class: the share of the class's samples at or below a value."""

import pandas as pd

from app.charts.distribution import distribution
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named

TABLE = pd.DataFrame(
    {
        "class": ["owl", "cat"],
        "class_index": [3, 1],
        "n": [1200, 1],
        "quantiles": [[-1.0, 0.0, 0.5, 4.0, 9.0], [2.0, 2.0, 2.0, 2.0, 2.0]],
    }
)


def test_a_curve_goes_from_none_at_the_smallest_to_all_at_the_largest_value():
    figure = distribution(TABLE)
    assert marks(named(figure, "owl")) == [(-1, 0), (0, 0.25), (0.5, 0.5), (4, 0.75), (9, 1)]
    assert marks(named(figure, "cat")) == [(2, 0), (2, 0.25), (2, 0.5), (2, 0.75), (2, 1)]


def test_classes_stand_in_their_own_order():
    assert legend(distribution(TABLE)) == ["cat", "owl"]


def test_the_upright_axis_is_a_share_in_percent_and_both_hold_all():
    layout = distribution(TABLE).layout
    assert layout.yaxis.title.text == "Share of the class's samples"
    assert layout.yaxis.tickformat == ".0%"
    assert holds(layout.yaxis, 0, 1)
    assert holds(layout.xaxis, -1, 9)
    assert not is_reversed(layout.yaxis)


def test_the_hover_text_tells_class_size_share_and_value():
    said = hovers(named(distribution(TABLE), "owl"))
    assert said[1] == (
        "<b>owl</b> (n = 1,200): 25% of the samples at or below 0.000<extra></extra>"
    )
    assert said[4] == (
        "<b>owl</b> (n = 1,200): 100% of the samples at or below 9.000<extra></extra>"
    )


def test_a_class_has_the_colour_of_its_number():
    figure = distribution(TABLE)
    assert named(figure, "cat").line.color == "#ffa90e"
    assert named(figure, "owl").line.color == "#94a4a2"


def test_a_hundred_classes_have_a_curve_each():
    many = pd.concat(
        [TABLE.iloc[[0]].assign(class_index=i, **{"class": f"c{i}"}) for i in range(100)]
    )
    assert legend(distribution(many)) == [f"c{i}" for i in range(100)]
