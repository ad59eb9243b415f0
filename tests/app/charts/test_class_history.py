"""Error by class and epoch, as a heatmap."""

import numpy as np
import pandas as pd

from app.charts.class_history import class_history
from tests.app.drawn import cell_hovers, cells, is_reversed

COLUMNS = ["class", "class_index", "epoch", "value", "n"]
ERRORS = [
    ("zebra", 0, 3, 0.9, 40),
    ("zebra", 0, 1, 0.1, 40),
    ("zebra", 0, 2, 1.0, 40),
    ("ant", 1, 1, 0.5, 7),
    ("ant", 1, 2, 0.0, 7),
    ("ant", 1, 3, 0.25, 7),
]


def table() -> pd.DataFrame:
    return pd.DataFrame(ERRORS, columns=COLUMNS)


def test_a_cell_has_the_error_of_its_class_in_its_epoch():
    (heatmap,) = class_history(table()).data
    assert cells(heatmap) == {
        ("zebra", 1): 0.1,
        ("zebra", 2): 1.0,
        ("zebra", 3): 0.9,
        ("ant", 1): 0.5,
        ("ant", 2): 0.0,
        ("ant", 3): 0.25,
    }


def test_the_first_class_is_on_top_and_time_goes_to_the_right():
    layout = class_history(table()).layout
    assert list(class_history(table()).data[0].y) == ["zebra", "ant"]
    assert is_reversed(layout.yaxis)
    assert layout.yaxis.type == "category"
    assert not is_reversed(layout.xaxis)
    assert layout.xaxis.title.text == "Epoch"


def test_light_is_much_on_a_scale_from_none_to_all():
    (heatmap,) = class_history(table()).data
    assert (heatmap.zmin, heatmap.zmax) == (0, 1)
    assert not heatmap.reversescale
    dark, light = heatmap.colorscale[0], heatmap.colorscale[-1]
    assert (dark[0], dark[1]) == (0, "#00224e")  # Cividis
    assert (light[0], light[1]) == (1, "#fee838")
    assert heatmap.colorbar.tickformat == ".0%"


def test_the_hover_text_tells_class_epoch_error_and_images():
    said = cell_hovers(class_history(table()).data[0])
    assert said["zebra", 3] == "<b>zebra</b>, epoch 3: 90.0% (n = 40)<extra></extra>"
    assert said["ant", 2] == "<b>ant</b>, epoch 2: 0.0% (n = 7)<extra></extra>"


def test_an_epoch_that_a_class_lacks_stays_empty():
    (heatmap,) = class_history(table().drop(index=4)).data
    drawn = cells(heatmap)
    assert drawn["ant", 2] is None
    assert (drawn["ant", 1], drawn["ant", 3], drawn["zebra", 2]) == (0.5, 0.25, 1.0)


def test_a_class_without_a_value_keeps_its_row_and_the_others_their_images():
    unknown = pd.DataFrame([("bee", 2, epoch, np.nan, 0) for epoch in (1, 2, 3)], columns=COLUMNS)
    last = pd.DataFrame([("cow", 3, 1, 0.75, 99)], columns=COLUMNS)
    (heatmap,) = class_history(pd.concat([table(), unknown, last])).data
    assert list(heatmap.y) == ["zebra", "ant", "bee", "cow"]
    assert cells(heatmap)["bee", 2] is None
    assert cell_hovers(heatmap)["cow", 1] == "<b>cow</b>, epoch 1: 75.0% (n = 99)<extra></extra>"


def test_a_single_class_in_a_single_epoch_is_one_cell():
    (heatmap,) = class_history(table().iloc[[4]]).data
    assert cells(heatmap) == {("ant", 2): 0.0}


def test_a_hundred_classes_stand_in_their_order_with_room_for_each():
    many = pd.DataFrame(
        [(f"c{99 - i}", i, 1, i / 99, 5) for i in reversed(range(100))], columns=COLUMNS
    )
    figure = class_history(many)
    assert list(figure.data[0].y) == [f"c{99 - i}" for i in range(100)]
    assert figure.layout.height >= 100 * 15  # pixels
