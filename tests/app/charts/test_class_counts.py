"""Training samples by class: right and wrong labels, one upon the other."""

import pandas as pd

from app.charts.class_counts import class_counts
from app.text.palette import MUTED
from tests.app.drawn import holds, hovers, legend, marks, named

TABLE = pd.DataFrame({"class": ["9", "cat", "owl"], "clean": [900, 50, 0], "flipped": [100, 0, 7]})


def test_right_labels_stand_below_and_wrong_ones_upon_them():
    figure = class_counts(TABLE)
    assert figure.layout.barmode == "stack"
    assert legend(figure) == ["Label is right", "Label is wrong"]  # Plotly stacks in this order
    assert marks(named(figure, "Label is right")) == [("9", 900), ("cat", 50), ("owl", 0)]
    assert marks(named(figure, "Label is wrong")) == [("9", 100), ("cat", 0), ("owl", 7)]


def test_bars_stand_upright():
    assert all(bar.orientation in (None, "v") for bar in class_counts(TABLE).data)


def test_classes_keep_their_order_and_a_digit_is_a_name():
    axis = class_counts(TABLE).layout.xaxis
    assert axis.type == "category"
    assert axis.categoryorder in (None, "trace")


def test_the_axis_counts_samples_from_zero_to_the_highest_stack():
    axis = class_counts(TABLE).layout.yaxis
    assert axis.title.text == "Training samples"
    assert not axis.tickformat
    assert holds(axis, 0, 1000)


def test_wrong_labels_are_grey_and_hatched():
    figure = class_counts(TABLE)
    right, wrong = named(figure, "Label is right"), named(figure, "Label is wrong")
    assert (right.marker.color, right.marker.pattern.shape) == ("#3f90da", "")
    assert (wrong.marker.color, wrong.marker.pattern.shape) == (MUTED, "/")


def test_the_hover_text_counts_whole_samples():
    figure = class_counts(TABLE.assign(clean=[1234.4, 50, 0]))
    assert (
        hovers(named(figure, "Label is right"))[0] == "<b>9</b>: 1,234<extra>Label is right</extra>"
    )
    assert (
        hovers(named(figure, "Label is wrong"))[2] == "<b>owl</b>: 7<extra>Label is wrong</extra>"
    )


def test_a_legend_is_there_only_where_labels_are_wrong():
    assert class_counts(TABLE).layout.showlegend is True
    assert class_counts(TABLE.assign(flipped=0)).layout.showlegend is False


def test_every_one_of_a_hundred_classes_has_its_bar():
    many = pd.DataFrame({"class": [f"c{i}" for i in range(100)], "clean": range(100), "flipped": 1})
    bar = named(class_counts(many), "Label is right")
    assert marks(bar) == [(f"c{i}", i) for i in range(100)]
