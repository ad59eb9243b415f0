"""Average ranks over settings, with bars over what is not told apart."""

import numpy as np
import pandas as pd
import pytest

from app.charts.average_ranks import average_ranks
from tests.app.drawn import holds, hovers, is_reversed, marks, rows

COLUMNS = ["title", "method", "rank", "last_level"]
RANKS = [
    ("TRADES", "trades", 2.5, 3.625),
    ("WAT", "wat (as-released)", 2.625, np.nan),
    ("CAAT", "caat", 1.25, 2.5),
    ("MART", "mart", 3.625, np.nan),
]
"""From the best: CAAT, TRADES, WAT, MART; two ranks within 1.25 of each other are alike."""


def table() -> pd.DataFrame:
    return pd.DataFrame(RANKS, columns=COLUMNS).assign(n=8)


def bars(figure):
    return [trace for trace in figure.data if trace.mode == "lines"]


def dots(figure):
    return [trace for trace in figure.data if trace.mode == "markers"]


def by_row(figure, traces):
    """Return one trace for each name, which is that of the row where it stands."""
    names = {place: name for name, place in rows(figure.layout.yaxis).items()}
    found = {names[trace.y[0]]: trace for trace in traces}
    assert len(found) == len(traces)
    return found


def test_the_best_rank_is_on_top():
    axis = average_ranks(table()).layout.yaxis
    assert rows(axis) == {"MART": 0, "WAT": 1, "TRADES": 2, "CAAT": 3}
    assert not is_reversed(axis)
    assert holds(axis, 0, 3)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 0, 2, 1]])
def test_a_rank_stands_in_the_row_of_its_name_whatever_the_tables_order(order):
    figure = average_ranks(table().iloc[order])
    assert {name: marks(dot) for name, dot in by_row(figure, dots(figure)).items()} == {
        "MART": [(3.625, 0)],
        "WAT": [(2.625, 1)],
        "TRADES": [(2.5, 2)],
        "CAAT": [(1.25, 3)],
    }


def test_a_bar_reaches_from_a_rank_to_the_last_that_is_not_told_from_it():
    figure = average_ranks(table())
    assert {name: marks(bar) for name, bar in by_row(figure, bars(figure)).items()} == {
        "CAAT": [(1.25, 3), (2.5, 3)],
        "TRADES": [(2.5, 2), (3.625, 2)],
    }


def test_where_all_are_told_apart_there_is_no_bar():
    figure = average_ranks(table().assign(last_level=np.nan))
    assert bars(figure) == []
    assert len(dots(figure)) == 4


def test_bars_are_grey_thinner_than_the_dots_and_behind_all_of_them():
    figure = average_ranks(table())
    assert [bar.line.color for bar in bars(figure)] == ["#8b94a3"] * 2
    assert max(bar.line.width for bar in bars(figure)) < dots(figure)[0].marker.size
    assert [trace.mode for trace in figure.data] == ["lines"] * 2 + ["markers"] * 4


def test_left_is_better_and_the_axis_holds_every_rank_there_can_be_and_little_more():
    axis = average_ranks(table()).layout.xaxis
    assert axis.title.text == "Average rank (left: better)"
    assert not is_reversed(axis)
    low, high = axis.range
    assert 0.5 < low < 1
    assert 4 < high < 4.5


def test_a_dot_has_the_colour_and_shape_of_its_method():
    figure = average_ranks(table())
    found = by_row(figure, dots(figure))
    assert {name: (dot.marker.color, dot.marker.symbol) for name, dot in found.items()} == {
        "MART": ("#a96b59", "pentagon"),
        "WAT": ("#b9ac70", "octagon-open"),
        "TRADES": ("#ffa90e", "diamond"),
        "CAAT": ("#bd1f01", "star"),
    }


def test_names_stand_at_the_rows_and_in_no_legend():
    assert average_ranks(table()).layout.showlegend is False


def test_the_hover_text_of_a_dot_tells_rank_and_settings():
    found = by_row(average_ranks(table()), dots(average_ranks(table())))
    assert hovers(found["CAAT"]) == ["<b>CAAT</b>: 1.25 over 8 settings<extra></extra>"]


def test_the_hover_text_at_both_ends_of_a_bar_tells_how_far_it_reaches():
    found = by_row(average_ranks(table()), bars(average_ranks(table())))
    assert hovers(found["CAAT"]) == ["not told from CAAT: ranks up to 2.50<extra></extra>"] * 2


def test_one_row_alone_is_first_and_not_at_the_edge():
    figure = average_ranks(table().iloc[[1]].assign(rank=1.0))
    assert rows(figure.layout.yaxis) == {"WAT": 0}
    assert [marks(trace) for trace in figure.data] == [[(1, 0)]]
    low, high = figure.layout.xaxis.range
    assert low < 1 < high
