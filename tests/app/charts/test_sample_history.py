"""Median by class over the epochs, and the middle half of the samples."""

import pandas as pd

from app.charts.sample_history import sample_history
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named

COLUMNS = ["class", "class_index", "label_group", "epoch", "n", "median", "q25", "q75"]
MEDIANS = [
    ("owl", 3, "clean", 5, 1200, 0.5, 0.25, 2.0),
    ("owl", 3, "clean", 1, 1100, 1.0, 0.5, 1.25),
    ("owl", 3, "flipped", 1, 8, 3.0, 0.0, 4.0),
    ("owl", 3, "flipped", 5, 9, 6.0, 5.5, 8.0),
    ("cat", 1, "clean", 1, 40, -1.0, -3.0, -0.5),
    ("cat", 1, "clean", 5, 50, -2.0, -2.25, 0.0),
]
OWL_RIGHT, OWL_WRONG, CAT = "owl, right labels", "owl, wrong labels", "cat, right labels"


def table() -> pd.DataFrame:
    return pd.DataFrame(MEDIANS, columns=COLUMNS)


def bands(figure):
    return [trace for trace in figure.data if trace.fill]


def test_each_class_and_group_has_its_medians_in_the_order_of_the_epochs():
    figure = sample_history(table())
    assert legend(figure) == [CAT, OWL_RIGHT, OWL_WRONG]
    assert marks(named(figure, OWL_RIGHT)) == [(1, 1.0), (5, 0.5)]
    assert marks(named(figure, OWL_WRONG)) == [(1, 3.0), (5, 6.0)]
    assert marks(named(figure, CAT)) == [(1, -1.0), (5, -2.0)]


def test_a_band_goes_along_the_upper_quartile_and_back_along_the_lower_one():
    drawn = {marks(band)[0][1]: marks(band) for band in bands(sample_history(table()))}
    assert drawn == {
        -0.5: [(1, -0.5), (5, 0.0), (5, -2.25), (1, -3.0)],
        1.25: [(1, 1.25), (5, 2.0), (5, 0.25), (1, 0.5)],
        4.0: [(1, 4.0), (5, 8.0), (5, 5.5), (1, 0.0)],
    }


def test_a_band_is_faint_and_in_the_colour_of_its_class():
    cat, *owls = bands(sample_history(table()))
    assert cat.fillcolor == "rgba(255, 169, 14, 0.14)"
    assert {owl.fillcolor for owl in owls} == {"rgba(148, 164, 162, 0.14)"}
    assert (cat.showlegend, cat.hoverinfo) == (False, "skip")


def test_no_band_hides_another_where_lines_are_many():
    fourth = table().query("class_index == 1").assign(class_index=4, **{"class": "fox"})
    figure = sample_history(pd.concat([table(), fourth]))
    assert len(legend(figure)) == 4
    assert not bands(figure)


def test_wrong_labels_have_hollow_marks_and_dots_in_the_colour_of_their_class():
    figure = sample_history(table())
    right, wrong = named(figure, OWL_RIGHT), named(figure, OWL_WRONG)
    assert right.line.color == wrong.line.color == "#94a4a2"
    assert (right.line.dash, wrong.line.dash) == ("solid", "dot")
    assert not right.marker.symbol.endswith("-open")
    assert wrong.marker.symbol == f"{right.marker.symbol}-open"
    assert named(figure, CAT).line.color == "#ffa90e"


def test_one_group_alone_has_full_marks_and_is_called_by_its_class():
    figure = sample_history(table().query("label_group == 'flipped'"))
    assert legend(figure) == ["owl"]
    line = named(figure, "owl")
    assert not line.marker.symbol.endswith("-open")
    assert line.line.dash == "solid"


def test_the_hover_text_tells_class_epoch_median_half_and_samples():
    assert hovers(named(sample_history(table()), OWL_RIGHT)) == [
        "<b>owl, right labels</b>, epoch 1: median 1.000, half of them 0.5000 to 1.250 "
        "(n = 1,100)<extra></extra>",
        "<b>owl, right labels</b>, epoch 5: median 0.5000, half of them 0.2500 to 2.000 "
        "(n = 1,200)<extra></extra>",
    ]


def test_the_axes_say_what_they_are_and_hold_every_band():
    layout = sample_history(table()).layout
    assert layout.xaxis.title.text == "Epoch"
    assert layout.yaxis.title.text == "Median over the class"
    assert holds(layout.xaxis, 1, 5)
    assert holds(layout.yaxis, -3, 8)
    assert not is_reversed(layout.yaxis)
