"""Spread of a quantity by class: nine tenths of the samples, half of them, their median."""

import pandas as pd

from app.charts.sample_spread import sample_spread
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named, rows

COLUMNS = ["class", "part", "label_group", "n", "mean", "q05", "q25", "median", "q75", "q95"]
SPREADS = [
    ("owl", "head", "clean", 1200, 3.5, -1.0, 2.0, 3.0, 5.0, 9.0),
    ("owl", "head", "flipped", 30, 1.5, 0.0, 0.5, 1.0, 1.25, 7.0),
    ("cat", "tail", "clean", 8, 0.75, 0.1, 0.2, 0.5, 0.9, 1.0),
    ("cat", "tail", "flipped", 2, 6.0, 4.0, 4.5, 6.5, 7.0, 8.0),
]
RIGHT, WRONG = "Right labels", "Wrong labels"


def table() -> pd.DataFrame:
    return pd.DataFrame(SPREADS, columns=COLUMNS)


def spans(figure, *, wrong: bool):
    """Return the lines of one group by their width: from, to and the place of each class."""
    found = {}
    for trace in figure.data:
        if trace.mode == "lines" and (trace.line.color == "rgba(189, 31, 1, 0.5)") == wrong:
            points = marks_with_gaps(trace)
            found[trace.line.width] = [(low, high, y) for (low, y), (high, y2) in points if y == y2]
    return found


def marks_with_gaps(trace):
    """Return the pieces of a line that is cut at each point that is not there."""
    pieces, piece = [], []
    for x, y in marks(trace):
        if x is None or x != x:
            pieces.append(piece)
            piece = []
        else:
            piece.append((x, y))
    return [*pieces, piece] if piece else pieces


def test_the_first_class_of_the_table_is_on_top_and_its_size_stands_before_its_name():
    axis = sample_spread(table()).layout.yaxis
    assert rows(axis) == {"head · owl": 1, "tail · cat": 0}
    assert not is_reversed(axis)


def test_the_median_stands_in_its_class_right_labels_above_wrong_ones():
    figure = sample_spread(table())
    assert legend(figure) == [RIGHT, WRONG]
    assert marks(named(figure, RIGHT)) == [(3, 1.17), (0.5, 0.17)]
    assert marks(named(figure, WRONG)) == [(1, 0.83), (6.5, -0.17)]


def test_the_thin_line_holds_nine_tenths_of_the_samples_and_the_thick_one_half_of_them():
    right = spans(sample_spread(table()), wrong=False)
    thin, thick = min(right), max(right)
    assert right[thin] == [(-1, 9, 1.17), (0.1, 1, 0.17)]
    assert right[thick] == [(2, 5, 1.17), (0.2, 0.9, 0.17)]
    wrong = spans(sample_spread(table()), wrong=True)
    assert wrong[thin] == [(0, 7, 0.83), (4, 8, -0.17)]
    assert wrong[thick] == [(0.5, 1.25, 0.83), (4.5, 7, -0.17)]


def test_right_and_wrong_labels_differ_in_colour_and_shape():
    figure = sample_spread(table())
    right, wrong = named(figure, RIGHT).marker, named(figure, WRONG).marker
    assert (right.color, right.symbol) == ("#3f90da", "circle")
    assert (wrong.color, wrong.symbol) == ("#bd1f01", "x")


def test_lines_are_behind_the_median():
    modes = [trace.mode for trace in sample_spread(table().iloc[[0]]).data]
    assert modes == ["lines", "lines", "markers"]


def test_the_axes_hold_every_class_and_every_end():
    layout = sample_spread(table()).layout
    assert holds(layout.yaxis, -0.17, 1.17)
    assert holds(layout.xaxis, -1, 9)
    assert not is_reversed(layout.xaxis)


def test_the_hover_text_tells_class_samples_median_mean_and_both_ranges():
    assert hovers(named(sample_spread(table()), RIGHT)) == [
        "<b>owl</b> (n = 1,200): median 3.000, mean 3.500<br>half of them 2.000 to 5.000, "
        "90 % of them -1.000 to 9.000<extra></extra>",
        "<b>cat</b> (n = 8): median 0.5000, mean 0.7500<br>half of them 0.2000 to 0.9000, "
        "90 % of them 0.1000 to 1.000<extra></extra>",
    ]


def test_one_group_stands_in_the_middle_of_its_rows_without_sizes():
    figure = sample_spread(table().query("label_group == 'flipped'").assign(part=""))
    assert rows(figure.layout.yaxis) == {"owl": 1, "cat": 0}
    assert marks(named(figure, WRONG)) == [(1, 1), (6.5, 0)]


def test_a_class_that_a_group_lacks_moves_no_other():
    figure = sample_spread(table().drop(index=1))  # the owl has no wrong label
    assert marks(named(figure, RIGHT)) == [(3, 1.17), (0.5, 0.17)]
    assert marks(named(figure, WRONG)) == [(6.5, -0.17)]


def test_thirty_classes_have_a_row_each_from_above_and_room_for_it():
    many = pd.concat(
        [table().iloc[[0]].assign(part="", **{"class": f"c{i}"}) for i in range(30)],
        ignore_index=True,
    )
    figure = sample_spread(many)
    assert rows(figure.layout.yaxis) == {f"c{i}": 29 - i for i in range(30)}
    assert holds(figure.layout.yaxis, 0, 29)
    assert figure.layout.height >= 30 * 20  # pixels
