"""Which class is taken for which: rows are true classes, columns what they are taken for."""

import pandas as pd
import pytest

from app.charts.confusion import confusion
from tests.app.drawn import cell_hovers, cells, is_reversed

NAMES = ["cat", "dog", "owl"]
CLEAN = [[0.9, 0.1, 0.0], [0.3, 0.66, 0.04], [0.0, 0.0, 1.0]]
ATTACKED = [[0.2, 0.7, 0.1], [0.302, 0.6, 0.098], [0.5, 0.25, 0.25]]
"""Of each row's class, the share that is taken for each column's."""


def table(clean=CLEAN, attacked=ATTACKED, names=NAMES) -> pd.DataFrame:
    rows = [
        (names[i], i, names[j], j, 50, clean[i][j], attacked[i][j], attacked[i][j] - clean[i][j])
        for i in range(len(names))
        for j in range(len(names))
    ]
    known = ["class", "class_index", "said", "said_index", "n", "clean", "attacked", "difference"]
    return pd.DataFrame(rows, columns=known)


def panels(figure):
    """Return the heatmaps by the title that stands above each."""
    titles = {note.text: note.x for note in figure.layout.annotations}
    found = {}
    for trace in figure.data:
        low, high = figure.layout[trace.xaxis.replace("x", "xaxis")].domain
        (title,) = [text for text, x in titles.items() if low <= x <= high]
        found[title] = trace
    return found


def grid(values, names=NAMES):
    pairs = [(row, column) for row in names for column in names]
    return dict(zip(pairs, [value for row in values for value in row], strict=True))


def test_a_row_is_a_true_class_and_a_column_what_it_is_taken_for():
    found = panels(confusion(table()))
    assert cells(found["Clean"]) == grid(CLEAN)
    assert cells(found["Under attack"]) == grid(ATTACKED)


def test_the_difference_is_what_the_attack_adds_and_nothing_where_it_rounds_to_nothing():
    found = panels(confusion(table()))
    assert cells(found["Difference"]) == grid(
        [[-0.7, 0.6, 0.1], [None, -0.06, 0.058], [0.5, 0.25, -0.75]]
    )


def test_the_panels_stand_clean_attacked_difference_from_the_left():
    figure = confusion(table())
    notes = sorted(figure.layout.annotations, key=lambda note: note.x)
    assert [note.text for note in notes] == ["Clean", "Under attack", "Difference"]


def test_the_first_class_is_on_top_and_at_the_left():
    figure = confusion(table())
    for trace in figure.data:
        assert list(trace.y) == list(trace.x) == NAMES
    for place in ("", "2", "3"):
        assert is_reversed(figure.layout[f"yaxis{place}"])
        assert not is_reversed(figure.layout[f"xaxis{place}"])
        assert figure.layout[f"xaxis{place}"].type == "category"
        assert figure.layout[f"yaxis{place}"].type == "category"
    assert figure.layout.xaxis2.title.text == "Taken for"


def test_the_rows_order_is_that_of_the_classes_whatever_the_tables():
    shuffled = table().iloc[[8, 3, 1, 0, 7, 5, 2, 6, 4]]
    found = panels(confusion(shuffled))
    assert list(found["Clean"].y) == NAMES
    assert cells(found["Clean"]) == grid(CLEAN)


def test_cells_say_whole_percent_and_those_that_round_to_nothing_say_nothing():
    found = panels(confusion(table()))
    assert cells(found["Clean"], "text") == grid(
        [["90", "10", ""], ["30", "66", "4"], ["", "", "100"]]
    )
    assert cells(found["Difference"], "text") == grid(
        [["-70", "+60", "+10"], ["", "-6", "+6"], ["+50", "+25", "-75"]]
    )
    assert {trace.texttemplate for trace in found.values()} == {"%{text}"}


def test_shares_have_a_scale_from_none_to_all_and_light_is_much():
    found = panels(confusion(table()))
    for title in ("Clean", "Under attack"):
        assert (found[title].zmin, found[title].zmax) == (0, 1)
        assert found[title].colorscale[0][1] == "#00224e"  # Cividis
        assert found[title].colorscale[-1][1] == "#fee838"


def test_less_is_purple_and_more_is_orange_about_a_middle_of_no_change():
    difference = panels(confusion(table()))["Difference"]
    assert difference.zmin == -difference.zmax == -0.5
    assert difference.colorscale[0][1] == "rgb(45,0,75)"
    assert difference.colorscale[-1][1] == "rgb(127,59,8)"
    assert not difference.reversescale


def test_the_hover_text_says_which_class_is_taken_for_which():
    found = panels(confusion(table()))
    said = {title: cell_hovers(trace)["dog", "owl"] for title, trace in found.items()}
    assert said == {
        "Clean": "<b>dog</b> taken for <b>owl</b>: 4.0%<extra>Clean</extra>",
        "Under attack": "<b>dog</b> taken for <b>owl</b>: 9.8%<extra>Under attack</extra>",
        "Difference": "<b>dog</b> taken for <b>owl</b>: 5.8%<extra>Difference</extra>",
    }


def test_one_class_is_one_cell_in_each_panel():
    found = panels(confusion(table([[1.0]], [[0.0]], ["cat"])))
    assert cells(found["Clean"]) == {("cat", "cat"): 1}
    assert cells(found["Under attack"]) == {("cat", "cat"): 0}
    assert cells(found["Difference"]) == {("cat", "cat"): -1}


@pytest.mark.parametrize(("size", "numbers"), [(12, True), (13, False)])
def test_numbers_stand_in_the_cells_while_there_is_room(size, numbers):
    shares = [[float(i == j) for j in range(size)] for i in range(size)]
    figure = confusion(table(shares, shares, [f"c{i}" for i in range(size)]))
    assert all((trace.text is not None) == numbers for trace in figure.data)
    assert list(figure.data[0].y) == [f"c{i}" for i in range(size)]


def test_a_chosen_part_of_the_classes_keeps_names_and_shares():
    part = table().query("class_index != 1 and said_index != 1")
    clean = panels(confusion(part))["Clean"]
    assert cells(clean) == grid([[0.9, 0.0], [0.0, 1.0]], ["cat", "owl"])
