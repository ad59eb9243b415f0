"""A weight over a characteristic: the density of the samples, their mean, the network's curve."""

import numpy as np
import pandas as pd

from app.charts.characteristic_weight import characteristic_weight
from tests.app.drawn import cell_hovers, cells, holds, hovers, legend, marks, named, whiskers

MEAN = "Mean of the samples, and 80 % of them"
NETWORK = "The network, all else as it is"
CELLS = [(1, 10, 1), (2, 10, 0), (3, 10, 100), (1, 20, 1000), (2, 20, 10), (3, 20, 0)]
"""x, y and the samples there."""
MEANS = [(2.0, 0.5, 8, 0.1, 0.6), (1.0, 0.4, 1200, 0.3, 0.9)]
"""x, y, n, low and high; the larger x first."""


def table() -> pd.DataFrame:
    counted = pd.DataFrame(CELLS, columns=["x", "y", "n"]).assign(layer="cell")
    means = pd.DataFrame(MEANS, columns=["x", "y", "n", "low", "high"]).assign(layer="mean")
    curve = pd.DataFrame({"x": [3.0, 1.0, 2.0], "y": [0.9, 0.2, 0.7], "layer": "network"})
    return pd.concat([counted, means, curve], ignore_index=True)


def test_a_cell_stands_at_its_x_and_y_and_is_coloured_by_the_logarithm_of_its_samples():
    (density,) = [trace for trace in characteristic_weight(table()).data if trace.type == "heatmap"]
    assert cells(density) == {
        (10, 1): 0,
        (10, 2): None,  # no sample, no colour
        (10, 3): 2,
        (20, 1): 3,
        (20, 2): 1,
        (20, 3): None,
    }
    assert (density.zmin, density.zmax) == (0, 3)
    assert density.hoverongaps is False


def test_more_samples_have_more_of_the_colour_and_the_scale_counts_samples():
    density = characteristic_weight(table()).data[0]
    assert [tuple(stop) for stop in density.colorscale] == [
        (0, "rgba(63, 144, 218, 0.18)"),
        (1, "#3f90da"),
    ]
    bar = density.colorbar
    assert dict(zip(bar.tickvals, bar.ticktext, strict=True)) == {
        0: "1",
        1: "10",
        2: "100",
        3: "1,000",
    }
    assert bar.title.text == "Samples"


def test_a_cells_hover_text_counts_its_samples_and_says_where_it_is():
    said = cell_hovers(characteristic_weight(table()).data[0])
    assert said[20, 1] == "1,000 samples around 1.000, 20.00<extra></extra>"
    assert said[10, 3] == "100 samples around 3.000, 10.00<extra></extra>"


def test_one_sample_alone_is_faint_on_a_scale_that_has_a_length():
    (density,) = characteristic_weight(table().query("n == 1")).data
    assert cells(density) == {(10, 1): 0}
    assert (density.zmin, density.zmax) == (0, 1)


def test_the_mean_goes_from_left_to_right_with_eight_tenths_of_the_samples_about_it():
    mean = named(characteristic_weight(table()), MEAN)
    assert marks(mean) == [(1, 0.4), (2, 0.5)]
    assert whiskers(mean, "y") == [(0.3, 0.9), (0.1, 0.6)]
    assert mean.line.color == "#d55e00"
    assert hovers(mean) == [
        "around 1.000: mean 0.4000, 80 % of them 0.3000 to 0.9000 (n = 1,200)<extra></extra>",
        "around 2.000: mean 0.5000, 80 % of them 0.1000 to 0.6000 (n = 8)<extra></extra>",
    ]


def test_the_networks_curve_goes_from_left_to_right_and_is_dashed():
    curve = named(characteristic_weight(table()), NETWORK)
    assert marks(curve) == [(1, 0.2), (2, 0.7), (3, 0.9)]
    assert (curve.line.color, curve.line.dash, curve.mode) == ("#832db6", "dash", "lines")
    assert hovers(curve)[1] == "if all samples had 2.000: 0.7000<extra></extra>"


def test_density_lies_under_the_mean_and_the_mean_under_the_network():
    figure = characteristic_weight(table())
    assert [trace.type for trace in figure.data] == ["heatmap", "scatter", "scatter"]
    assert legend(figure) == [MEAN, NETWORK]


def test_a_layer_that_is_not_there_is_not_drawn():
    figure = characteristic_weight(table().query("layer == 'mean'"))
    assert legend(figure) == [MEAN]
    assert len(figure.data) == 1


def test_the_axes_fit_all_that_is_drawn_and_a_drag_chooses_samples():
    layout = characteristic_weight(table()).layout
    assert holds(layout.xaxis, 1, 3)
    assert holds(layout.yaxis, 0.1, 20)
    assert layout.dragmode == "select"


def test_a_count_in_several_rows_of_one_cell_is_their_sum():
    twice = pd.concat([table().query("layer == 'cell'")] * 2)
    (density,) = characteristic_weight(twice).data
    assert cells(density)[20, 1] == round(float(np.log10(2000)), 3)
