"""How runs came to where they are: natural against robust accuracy, epoch by epoch."""

import numpy as np
import pandas as pd

from app.charts.tradeoff_path import tradeoff_path
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named

COLUMNS = ["title", "method", "variant", "epoch", "x", "y"]
EPOCHS = [
    ("CAAT run", "caat", 0, 3, 0.8, 0.5),
    ("CAAT run", "caat", 0, 1, 0.2, 0.0),
    ("CAAT run", "caat", 0, 2, 0.9, 0.3),
    ("second", "caat", 1, 1, 1.0, 0.25),
    ("second", "caat", 1, 2, 0.7, 0.1),
    ("WAT run", "wat", 0, 1, 0.4, 0.35),
]


def table() -> pd.DataFrame:
    return pd.DataFrame(EPOCHS, columns=COLUMNS)


def test_a_path_goes_through_its_epochs_natural_to_the_right_and_robust_upwards():
    figure = tradeoff_path(table())
    assert marks(named(figure, "CAAT run")) == [(0.2, 0), (0.9, 0.3), (0.8, 0.5)]
    assert marks(named(figure, "second")) == [(1, 0.25), (0.7, 0.1)]
    assert marks(named(figure, "WAT run")) == [(0.4, 0.35)]
    for axis, title in ((figure.layout.xaxis, "Natural"), (figure.layout.yaxis, "Robust")):
        assert (axis.title.text, axis.tickformat) == (f"{title} accuracy", ".0%")
        assert holds(axis, 0, 1)
        assert not is_reversed(axis)


def test_the_last_epoch_is_the_largest_dot():
    figure = tradeoff_path(table())
    sizes = list(named(figure, "CAAT run").marker.size)
    assert len(sizes) == 3
    assert sizes[0] == sizes[1] < sizes[2]
    assert list(named(figure, "WAT run").marker.size) == [sizes[2]]


def test_runs_of_one_method_share_its_colour_and_differ_in_their_filling():
    figure = tradeoff_path(table())
    first, second = named(figure, "CAAT run"), named(figure, "second")
    assert first.line.color == second.line.color == "#bd1f01"
    assert (first.marker.symbol, second.marker.symbol) == ("star", "star-open")
    assert named(figure, "WAT run").line.color == "#b9ac70"


def test_the_hover_text_tells_epoch_and_both_accuracies_of_the_run():
    assert hovers(named(tradeoff_path(table()), "CAAT run")) == [
        "epoch 1: natural 20.0%, robust 0.0%<extra>CAAT run</extra>",
        "epoch 2: natural 90.0%, robust 30.0%<extra>CAAT run</extra>",
        "epoch 3: natural 80.0%, robust 50.0%<extra>CAAT run</extra>",
    ]


def test_an_epoch_without_a_value_is_a_gap_in_the_path():
    figure = tradeoff_path(table().assign(y=[0.5, 0.0, np.nan, 0.25, 0.1, 0.35]))
    path = named(figure, "CAAT run")
    assert [float(y) for y in path.y[[0, 2]]] == [0, 0.5]
    assert np.isnan(float(path.y[1]))
    assert not path.connectgaps


def test_one_run_is_in_the_legend():
    figure = tradeoff_path(table().query("title == 'WAT run'"))
    assert legend(figure) == ["WAT run"]
    assert figure.layout.showlegend is True
