"""Learning curves: a few series over the epochs, with their intervals as bands."""

import numpy as np
import pandas as pd
import pytest

from app.charts.learning_curve import learning_curve
from tests.app.drawn import holds, is_reversed, legend, marks, named

COLUMNS = ["name", "epoch", "value", "low", "high"]
POINTS = [
    ("robust_error", 1, 0.9, 0.8, 1.0),
    ("robust_error", 2, 0.6, 0.3, 0.7),
    ("robust_error", 3, 0.4, 0.35, 0.65),
    ("natural_error", 1, 0.5, 0.4, 0.8),
    ("natural_error", 2, 0.0, 0.0, 0.1),
    ("loss", 1, 2.5, np.nan, np.nan),
    ("loss", 2, 1.25, np.nan, np.nan),
]


def table() -> pd.DataFrame:
    return pd.DataFrame(POINTS, columns=COLUMNS)


def bands(figure):
    """Return the bands by the name of their series."""
    return {trace.legendgroup: trace for trace in figure.data if trace.fill}


def test_each_series_has_its_values_over_its_epochs():
    figure = learning_curve(table())
    assert legend(figure) == ["Robust error", "Natural error", "Training loss"]
    assert marks(named(figure, "Robust error")) == [(1, 0.9), (2, 0.6), (3, 0.4)]
    assert marks(named(figure, "Natural error")) == [(1, 0.5), (2, 0)]
    assert marks(named(figure, "Training loss")) == [(1, 2.5), (2, 1.25)]


def test_a_band_goes_along_the_upper_ends_and_back_along_the_lower_ones():
    found = bands(learning_curve(table()))
    assert set(found) == {"robust_error", "natural_error"}
    assert marks(found["robust_error"]) == [
        *((1, 1.0), (2, 0.7), (3, 0.65)),
        *((3, 0.35), (2, 0.3), (1, 0.8)),
    ]
    assert marks(found["natural_error"]) == [(1, 0.8), (2, 0.1), (2, 0.0), (1, 0.4)]


def test_a_band_is_faint_in_the_colour_of_its_line_behind_it_and_out_of_the_legend():
    figure = learning_curve(table())
    band, line = bands(figure)["robust_error"], named(figure, "Robust error")
    assert line.line.color == "#d55e00"
    assert band.fillcolor == "rgba(213, 94, 0, 0.14)"
    assert (band.showlegend, band.hoverinfo, band.line.width) == (False, "skip", 0)
    assert line.legendgroup == band.legendgroup
    order = [trace.uid for trace in figure.data]
    assert order.index(band.uid) < order.index(line.uid)


@pytest.mark.parametrize("missing", [np.nan, None])
def test_an_epoch_without_a_value_is_a_gap_in_the_line(missing):
    figure = learning_curve(table().assign(value=[0.9, missing, 0.4, 0.5, 0.0, 2.5, 1.25]))
    line = named(figure, "Robust error")
    assert list(line.x) == [1, 2, 3]
    assert np.isnan(float(line.y[1]))
    assert not line.connectgaps


def test_a_value_without_an_interval_keeps_its_point_and_leaves_the_band():
    rows = table().query("name == 'robust_error'").assign(low=[0.8, np.nan, 0.35])
    figure = learning_curve(rows)
    assert marks(named(figure, "Robust error")) == [(1, 0.9), (2, 0.6), (3, 0.4)]
    assert marks(bands(figure)["robust_error"]) == [(1, 1.0), (3, 0.65), (3, 0.35), (1, 0.8)]


def test_single_batches_are_faint_and_thin_behind_the_mean():
    batches = [("batch_loss", step / 4, 3 - step / 4, np.nan, np.nan) for step in range(1, 5)]
    rows = pd.concat([pd.DataFrame(batches, columns=COLUMNS), table().query("name == 'loss'")])
    figure = learning_curve(rows)
    single, mean = named(figure, "Loss of single batches"), named(figure, "Training loss")
    assert marks(single) == [(0.25, 2.75), (0.5, 2.5), (0.75, 2.25), (1, 2)]
    assert (single.line.color, single.line.width) == ("rgba(139, 148, 163, 0.55)", 1)
    assert (mean.line.color, mean.line.width) == ("#3f90da", 2)
    assert single.mode == "lines"
    assert mean.mode == "lines+markers"
    assert list(figure.data).index(single) < list(figure.data).index(mean)


def test_the_axes_hold_every_value_and_time_begins_at_zero():
    layout = learning_curve(table()).layout
    assert layout.xaxis.title.text == "Epoch"
    assert layout.xaxis.rangemode == "tozero"
    assert holds(layout.xaxis, 0, 3)
    assert holds(layout.yaxis, 0, 2.5)
    assert not is_reversed(layout.yaxis)


def test_one_series_with_one_point_is_a_dot_without_a_band():
    figure = learning_curve(table().iloc[[0]])
    assert marks(named(figure, "Robust error")) == [(1, 0.9)]
    assert not bands(figure)
    assert "markers" in named(figure, "Robust error").mode


def test_a_series_of_a_plug_in_is_called_by_its_words():
    figure = learning_curve(table().query("name == 'loss'").assign(name="my_own_term"))
    assert legend(figure) == ["My own term"]
