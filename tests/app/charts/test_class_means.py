"""How the mean of a quantity moves over the epochs, class by class."""

import pandas as pd
import pytest

from app.charts.class_means import class_means
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named

COLUMNS = ["class", "class_index", "epoch", "n", "mean"]
MEANS = [
    ("owl", 3, 5, 1200, 0.5),
    ("cat", 1, 5, 30, 0.0),
    ("owl", 3, 1, 1100, 2.0),
    ("cat", 1, 1, 20, -1.5),
]


def table() -> pd.DataFrame:
    return pd.DataFrame(MEANS, columns=COLUMNS)


def test_each_class_has_its_means_in_the_order_of_the_epochs():
    figure = class_means(table())
    assert legend(figure) == ["cat", "owl"]
    assert marks(named(figure, "cat")) == [(1, -1.5), (5, 0.0)]
    assert marks(named(figure, "owl")) == [(1, 2.0), (5, 0.5)]


def test_the_axes_say_what_they_are_and_hold_every_mean():
    layout = class_means(table()).layout
    assert layout.xaxis.title.text == "Epoch"
    assert layout.yaxis.title.text == "Mean over the class"
    assert holds(layout.xaxis, 1, 5)
    assert holds(layout.yaxis, -1.5, 2)
    assert not is_reversed(layout.yaxis)


def test_a_class_has_the_colour_of_its_number_whatever_else_is_drawn():
    both, alone = class_means(table()), class_means(table().query("class_index == 3"))
    assert named(both, "cat").line.color == "#ffa90e"
    assert named(both, "owl").line.color == "#94a4a2"
    assert named(alone, "owl").line.color == "#94a4a2"


def test_the_hover_text_tells_class_epoch_mean_and_samples():
    assert hovers(named(class_means(table()), "owl")) == [
        "<b>owl</b>, epoch 1: 2.000 (n = 1,100)<extra></extra>",
        "<b>owl</b>, epoch 5: 0.5000 (n = 1,200)<extra></extra>",
    ]


def over(epochs: int) -> pd.DataFrame:
    rows = [("cat", 1, epoch, 20, epoch / 2) for epoch in range(1, epochs + 1)]
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize(("epochs", "step"), [(1, 1), (10, 1), (11, None)])
def test_few_epochs_have_ticks_at_whole_numbers_only(epochs, step):
    axis = class_means(over(epochs)).layout.xaxis
    assert (axis.dtick, axis.tickformat) == (step, "d")


@pytest.mark.parametrize(
    ("epochs", "mode"), [(1, "lines+markers"), (60, "lines+markers"), (61, "lines")]
)
def test_points_are_drawn_while_they_can_be_told_apart(epochs, mode):
    (line,) = class_means(over(epochs)).data
    assert line.mode == mode
    assert len(marks(line)) == epochs


def test_the_eleventh_class_has_the_first_ones_colour_and_another_dash():
    two = pd.concat([table().assign(class_index=i, **{"class": f"c{i}"}) for i in (0, 10)])
    figure = class_means(two)
    first, later = named(figure, "c0").line, named(figure, "c10").line
    assert first.color == later.color
    assert (first.dash, later.dash) == ("solid", "dash")
