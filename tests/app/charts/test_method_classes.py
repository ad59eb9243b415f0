"""Which classes each method fails: a row per method, a column per class."""

import pandas as pd
import pytest

from app.charts.method_classes import method_classes
from tests.app.drawn import cell_hovers, cells, is_reversed

COLUMNS = ["title", "class", "class_index", "value"]
ERRORS = [
    ("WAT", "ant", 1, 0.126),
    ("WAT", "zebra", 0, 0.9),
    ("WAT", "cow", 2, 0.5),
    ("CAAT", "cow", 2, 0.25),
    ("CAAT", "ant", 1, 0.0),
    ("CAAT", "zebra", 0, 1.0),
]
"""Neither methods nor classes stand in the order of their names."""


def table() -> pd.DataFrame:
    return pd.DataFrame(ERRORS, columns=COLUMNS)


def many(size: int) -> pd.DataFrame:
    """Return classes c0, c1, ... that two methods fail by half, the last class first."""
    rows = [(title, f"c{i}", i, 0.5) for title in ("WAT", "CAAT") for i in reversed(range(size))]
    return pd.DataFrame(rows, columns=COLUMNS)


def with_errors(classes: pd.DataFrame, errors: dict[int, tuple[float, float]]) -> pd.DataFrame:
    """Return the table with other errors, of WAT and of CAAT, for some classes."""
    changed = classes.copy()
    for index, both in errors.items():
        for title, value in zip(("WAT", "CAAT"), both, strict=True):
            here = (changed["class_index"] == index) & (changed["title"] == title)
            changed.loc[here, "value"] = value
    return changed


def test_a_cell_has_the_error_of_its_method_in_its_class():
    (heatmap,) = method_classes(table()).data
    assert cells(heatmap) == {
        ("WAT", "zebra"): 0.9,
        ("WAT", "ant"): 0.126,
        ("WAT", "cow"): 0.5,
        ("CAAT", "zebra"): 1.0,
        ("CAAT", "ant"): 0.0,
        ("CAAT", "cow"): 0.25,
    }


def test_the_tables_first_method_is_on_top_and_the_first_class_at_the_left():
    figure = method_classes(table())
    assert list(figure.data[0].y) == ["WAT", "CAAT"]
    assert list(figure.data[0].x) == ["zebra", "ant", "cow"]
    assert is_reversed(figure.layout.yaxis)
    assert not is_reversed(figure.layout.xaxis)


def test_names_that_are_numbers_stay_names():
    digits = table().assign(**{"class": ["1", "0", "2", "2", "1", "0"]})
    figure = method_classes(digits.replace({"title": {"WAT": "10", "CAAT": "3"}}))
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("category", "category")
    assert cells(figure.data[0])["10", "1"] == 0.126


def test_light_is_much_on_a_scale_from_none_to_all():
    (heatmap,) = method_classes(table()).data
    assert (heatmap.zmin, heatmap.zmax) == (0, 1)
    assert not heatmap.reversescale
    assert heatmap.colorscale[0][1] == "#00224e"  # Cividis
    assert heatmap.colorscale[-1][1] == "#fee838"


def test_cells_say_whole_percent():
    (heatmap,) = method_classes(table()).data
    assert [list(row) for row in heatmap.text] == [["90", "13", "50"], ["100", "0", "25"]]
    assert heatmap.texttemplate == "%{text}"


def test_the_hover_text_tells_method_class_and_error():
    said = cell_hovers(method_classes(table()).data[0])
    assert said["WAT", "ant"] == "<b>WAT</b>, class <b>ant</b>: 12.6%<extra></extra>"
    assert said["CAAT", "zebra"] == "<b>CAAT</b>, class <b>zebra</b>: 100.0%<extra></extra>"


@pytest.mark.parametrize(("size", "numbers"), [(16, True), (17, False)])
def test_numbers_stand_in_the_cells_while_there_is_room(size, numbers):
    (heatmap,) = method_classes(many(size)).data
    assert (heatmap.text is not None) == numbers
    assert list(heatmap.x) == [f"c{i}" for i in range(size)]


def test_of_many_classes_the_thirty_worst_on_average_are_drawn_in_their_order():
    # Their means are 0.475, 0.55 and 0.4: the largest of one method alone does not count.
    classes = with_errors(many(32), {3: (0.9, 0.05), 7: (1.0, 0.1), 20: (0.4, 0.4)})
    (heatmap,) = method_classes(classes).data
    assert list(heatmap.x) == [f"c{i}" for i in range(32) if i not in (3, 20)]
    drawn = cells(heatmap)
    assert (drawn["WAT", "c7"], drawn["CAAT", "c7"], drawn["WAT", "c31"]) == (1.0, 0.1, 0.5)


def test_a_class_that_a_method_lacks_stays_empty():
    (heatmap,) = method_classes(table().drop(index=4)).data
    assert cells(heatmap)["CAAT", "ant"] is None
    assert cells(heatmap)["WAT", "ant"] == 0.126
    assert ("CAAT", "ant") not in cell_hovers(heatmap)
    assert cells(heatmap, "text")["CAAT", "ant"] == ""


def test_one_method_in_one_class_is_one_cell():
    (heatmap,) = method_classes(table().iloc[[3]]).data
    assert cells(heatmap) == {("CAAT", "cow"): 0.25}
    assert cells(heatmap, "text") == {("CAAT", "cow"): "25"}
