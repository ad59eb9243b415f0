"""Distribution over groups of samples: right and wrong labels, head and tail."""

import pandas as pd

from app.charts.sample_ecdf import sample_ecdf
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named

COLUMNS = ["label_group", "part", "n", "value", "share"]
POINTS = [
    ("clean", "head", 1200, 0.5, 0.1),
    ("clean", "head", 1200, 4.0, 1.0),
    ("flipped", "head", 30, -1.0, 0.0),
    ("flipped", "head", 30, 2.0, 1.0),
    ("flipped", "tail", 7, 0.0, 0.75),
    ("flipped", "tail", 7, 9.0, 1.0),
]


def table() -> pd.DataFrame:
    return pd.DataFrame(POINTS, columns=COLUMNS)


def test_each_group_has_its_own_shares_over_the_values():
    figure = sample_ecdf(table())
    assert legend(figure) == ["Right labels, head", "Wrong labels, head", "Wrong labels, tail"]
    assert marks(named(figure, "Right labels, head")) == [(0.5, 0.1), (4, 1)]
    assert marks(named(figure, "Wrong labels, head")) == [(-1, 0), (2, 1)]
    assert marks(named(figure, "Wrong labels, tail")) == [(0, 0.75), (9, 1)]


def test_right_and_wrong_labels_differ_in_colour_and_the_tail_is_dotted():
    figure = sample_ecdf(table())
    assert {trace.name: (trace.line.color, trace.line.dash) for trace in figure.data} == {
        "Right labels, head": ("#3f90da", "solid"),
        "Wrong labels, head": ("#bd1f01", "solid"),
        "Wrong labels, tail": ("#bd1f01", "dot"),
    }


def test_the_upright_axis_is_a_share_in_percent_and_both_hold_all():
    layout = sample_ecdf(table()).layout
    assert layout.yaxis.title.text == "Share of the samples"
    assert layout.yaxis.tickformat == ".0%"
    assert holds(layout.xaxis, -1, 9)
    assert holds(layout.yaxis, 0, 1)
    assert not is_reversed(layout.yaxis)


def test_the_hover_text_tells_group_size_share_and_value():
    figure = sample_ecdf(table())
    assert hovers(named(figure, "Right labels, head"))[0] == (
        "<b>Right labels, head</b> (n = 1,200): 10% of the samples at or below 0.5000"
        "<extra></extra>"
    )
    assert hovers(named(figure, "Wrong labels, tail"))[0] == (
        "<b>Wrong labels, tail</b> (n = 7): 75% of the samples at or below 0.000<extra></extra>"
    )


def test_classes_of_one_size_are_not_called_head_or_tail():
    figure = sample_ecdf(table().iloc[:2].assign(label_group="all", part=""))
    assert legend(figure) == ["All labels"]
    assert named(figure, "All labels").line.dash == "solid"
