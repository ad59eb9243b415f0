"""Scenarios ranked by one error."""

import numpy as np
import pandas as pd

from app.charts.ranking import ranking
from tests.app.drawn import holds, hovers, is_reversed, marks, rows, whiskers

COLUMNS = ["rank", "title", "method", "n", "seeds", "value", "low", "high", "values"]
SCENARIOS = [
    (1, "CAAT", "caat", 3, "0, 1, 2", 0.2, 0.05, 0.25, [0.1, 0.2, 0.3]),
    (2, "TRADES", "trades", 2, "0, 1", 0.4, np.nan, np.nan, [0.35, 0.45]),
    (3, "One", "wat", 1, "7", 0.5, np.nan, np.nan, [0.5]),
]


def table() -> pd.DataFrame:
    return pd.DataFrame(SCENARIOS, columns=COLUMNS)


def means(figure):
    """Return what is drawn for the mean of each scenario, from the first rank."""
    return [trace for trace in figure.data if trace.error_x.array is not None]


def seeds(figure):
    return [trace for trace in figure.data if trace.error_x.array is None]


def test_the_smallest_error_is_on_top():
    axis = ranking(table()).layout.yaxis
    assert rows(axis) == {"3. One": 0, "2. TRADES": 1, "1. CAAT": 2}
    assert not is_reversed(axis)


def test_a_mean_stands_in_the_row_of_its_name():
    figure = ranking(table())
    assert [marks(trace) for trace in means(figure)] == [[(0.2, 2)], [(0.4, 1)], [(0.5, 0)]]


def test_each_seed_stands_in_the_row_of_its_scenario_behind_the_mean():
    figure = ranking(table())
    assert [marks(trace) for trace in seeds(figure)] == [
        [(0.1, 2), (0.2, 2), (0.3, 2)],
        [(0.35, 1), (0.45, 1)],
        [(0.5, 0)],
    ]
    order = list(figure.data)
    for seed, mean in zip(seeds(figure), means(figure), strict=True):
        assert order.index(seed) < order.index(mean)


def test_whiskers_reach_from_low_to_high_and_have_no_length_without_an_interval():
    found = [whiskers(trace) for trace in means(ranking(table()))]
    assert found == [[(0.05, 0.25)], [(0.4, 0.4)], [(0.5, 0.5)]]


def test_the_axis_holds_every_seed_and_interval_and_little_more():
    axis = ranking(table()).layout.xaxis
    assert (axis.title.text, axis.tickformat) == ("Error", ".0%")
    assert holds(axis, 0.05, 0.1, 0.3, 0.35, 0.45, 0.5)
    assert axis.range[0] > -0.1
    assert axis.range[1] < 0.6
    assert not is_reversed(axis)


def test_the_axis_holds_a_wide_interval_of_three_seeds():
    wide = table().iloc[[0]].assign(low=0.0, high=0.95)
    assert holds(ranking(wide).layout.xaxis, 0.0, 0.95)


def test_one_value_alone_is_not_at_the_edge():
    low, high = ranking(table().iloc[[2]]).layout.xaxis.range
    assert low < 0.5 < high


def test_errors_of_nothing_and_of_everything_are_within_the_axis():
    ends = table().iloc[[1]].assign(value=0.5)
    ends.at[1, "values"] = [0.0, 1.0]
    axis = ranking(ends).layout.xaxis
    assert axis.range[0] < 0
    assert axis.range[1] > 1


def test_mean_and_whiskers_have_the_methods_colour_and_seeds_are_faint_in_it():
    figure = ranking(table())
    caat, trades, wat = means(figure)
    assert (caat.marker.color, trades.marker.color, wat.marker.color) == (
        "#bd1f01",
        "#ffa90e",
        "#b9ac70",
    )
    assert (caat.error_x.color, caat.marker.symbol) == ("#bd1f01", "star")
    assert seeds(figure)[0].marker.color == "rgba(189, 31, 1, 0.5)"
    assert seeds(figure)[0].marker.size < caat.marker.size


def test_the_hover_text_tells_mean_interval_and_seeds():
    figure = ranking(table())
    assert [hovers(trace)[0] for trace in means(figure)] == [
        "<b>CAAT</b>: mean 20.00%, 95 % interval 5.0 % to 25.0 %<br>seeds 0, 1, 2<extra></extra>",
        "<b>TRADES</b>: mean 40.00%, 2 seeds make no interval<br>seeds 0, 1<extra></extra>",
        "<b>One</b>: mean 50.00%, one seed<br>seeds 7<extra></extra>",
    ]
    assert hovers(seeds(figure)[0])[2] == "CAAT, one seed: 30.00%<extra></extra>"


def test_two_scenarios_of_one_rank_or_one_name_have_a_row_each():
    alike = table().assign(rank=[1, 1, 3], title=["CAAT", "TRADES", "CAAT"])
    figure = ranking(alike)
    assert rows(figure.layout.yaxis) == {"3. CAAT": 0, "1. TRADES": 1, "1. CAAT": 2}
    assert [marks(trace)[0][1] for trace in means(figure)] == [2, 1, 0]
