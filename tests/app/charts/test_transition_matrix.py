"""Label noise: the probability of a given label for each true one."""

import pandas as pd
import pytest

from app.charts.transition_matrix import transition_matrix
from tests.app.drawn import cell_hovers, cells, is_reversed

NAMES = ["owl", "cat", "dog"]
NOISE = [[0.7, 0.3, 0.0], [0.0, 0.9, 0.1], [0.25, 0.25, 0.5]]
"""Of each row's true label, the probability of each column's given one."""


def table(noise=NOISE, names=NAMES) -> pd.DataFrame:
    rows = [(names[i], names[j], noise[i][j]) for i in range(len(names)) for j in range(len(names))]
    return pd.DataFrame(rows, columns=["true", "given", "probability"])


def test_a_row_is_a_true_label_and_a_column_a_given_one():
    figure = transition_matrix(table())
    assert cells(figure.data[0]) == {
        ("owl", "owl"): 0.7,
        ("owl", "cat"): 0.3,
        ("owl", "dog"): None,
        ("cat", "owl"): None,
        ("cat", "cat"): 0.9,
        ("cat", "dog"): 0.1,
        ("dog", "owl"): 0.25,
        ("dog", "cat"): 0.25,
        ("dog", "dog"): 0.5,
    }
    assert figure.layout.xaxis.title.text == "Given label"
    assert figure.layout.yaxis.title.text == "True label"


def test_the_first_class_is_on_top_and_at_the_left():
    figure = transition_matrix(table())
    assert list(figure.data[0].x) == list(figure.data[0].y) == NAMES
    assert is_reversed(figure.layout.yaxis)
    assert not is_reversed(figure.layout.xaxis)
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "category"


def test_cells_say_whole_percent_and_what_never_happens_says_nothing():
    heatmap = transition_matrix(table()).data[0]
    assert cells(heatmap, "text") == {
        ("owl", "owl"): "70",
        ("owl", "cat"): "30",
        ("owl", "dog"): "",
        ("cat", "owl"): "",
        ("cat", "cat"): "90",
        ("cat", "dog"): "10",
        ("dog", "owl"): "25",
        ("dog", "cat"): "25",
        ("dog", "dog"): "50",
    }
    assert heatmap.texttemplate == "%{text}"


def test_dark_is_much_on_a_scale_from_none_to_all():
    heatmap = transition_matrix(table()).data[0]
    assert (heatmap.zmin, heatmap.zmax) == (0, 1)
    assert [tuple(stop) for stop in heatmap.colorscale] == [(0, "#b9d3ef"), (1, "#134a8e")]
    assert not heatmap.reversescale
    assert heatmap.colorbar.tickformat == ".0%"


def test_the_hover_text_says_which_is_true_and_which_is_given():
    said = cell_hovers(transition_matrix(table()).data[0])
    assert said["owl", "cat"] == "True <b>owl</b>, given <b>cat</b>: 30.0%<extra></extra>"
    assert said["cat", "dog"] == "True <b>cat</b>, given <b>dog</b>: 10.0%<extra></extra>"


def test_one_class_is_one_full_cell():
    heatmap = transition_matrix(table([[1.0]], ["owl"])).data[0]
    assert cells(heatmap) == {("owl", "owl"): 1}
    assert cells(heatmap, "text") == {("owl", "owl"): "100"}


@pytest.mark.parametrize(("size", "numbers"), [(12, True), (13, False)])
def test_numbers_stand_in_the_cells_while_there_is_room(size, numbers):
    noise = [[float(j == (i + 1) % size) for j in range(size)] for i in range(size)]
    heatmap = transition_matrix(table(noise, [f"c{i}" for i in range(size)])).data[0]
    assert (heatmap.text is not None) == numbers
    assert (heatmap.texttemplate is not None) == numbers
    assert cells(heatmap)["c0", "c1"] == 1
    assert cells(heatmap)["c1", "c0"] is None
