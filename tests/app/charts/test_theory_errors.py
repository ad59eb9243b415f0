"""Errors of both classes, exact as bars and counted over samples."""

import numpy as np
import pandas as pd

from app.charts.theory_errors import theory_errors
from app.text.palette import MUTED
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named, rows, whiskers

COLUMNS = ["class", "name", "value", "estimate", "standard_error"]
ERRORS = [
    ("class +", "natural_error", 0.1, 0.12, 0.01),
    ("class -", "natural_error", 0.0, 0.0, 0.0),
    ("class +", "boundary_error", 0.3, 0.25, 0.02),
    ("class -", "boundary_error", 1.0, 0.95, 0.05),
    ("class +", "robust_error", 0.4, 0.37, 0.03),
    ("class -", "robust_error", 0.9, 0.93, 0.04),
]
NATURAL, BOUNDARY, ROBUST = "Natural error", "Boundary error", "Robust error"
COUNTED = "Counted, ± standard error (n = 2,000 per class)"


def table() -> pd.DataFrame:
    return pd.DataFrame(ERRORS, columns=COLUMNS).assign(n=2000)


def unsampled() -> pd.DataFrame:
    return table().assign(estimate=np.nan, standard_error=np.nan, n=0)


def test_each_class_has_its_three_bars_natural_boundary_robust_from_the_left():
    figure = theory_errors(table())
    assert rows(figure.layout.xaxis) == {"class +": 0, "class -": 1}
    assert marks(named(figure, NATURAL)) == [(-0.26, 0.1), (0.74, 0)]
    assert marks(named(figure, BOUNDARY)) == [(0, 0.3), (1, 1)]
    assert marks(named(figure, ROBUST)) == [(0.26, 0.4), (1.26, 0.9)]


def test_bars_stand_beside_each_other_from_zero():
    figure = theory_errors(table())
    assert figure.layout.barmode == "overlay"
    for bar in figure.data[:3]:
        assert bar.base is None
        assert 0 < bar.width < 0.26


def test_what_samples_gave_stands_over_the_bar_of_its_error():
    counted = named(theory_errors(table()), COUNTED)
    assert marks(counted) == [
        *((-0.26, 0.12), (0.74, 0.0)),
        *((0, 0.25), (1, 0.95)),
        *((0.26, 0.37), (1.26, 0.93)),
    ]
    assert counted.marker.color == MUTED


def test_the_whiskers_are_one_standard_error_up_and_down():
    counted = named(theory_errors(table()), COUNTED)
    assert whiskers(counted, "y") == [
        *((0.11, 0.13), (0.0, 0.0)),
        *((0.23, 0.27), (0.9, 1.0)),
        *((0.34, 0.4), (0.89, 0.97)),
    ]


def test_without_samples_there_are_bars_only():
    assert legend(theory_errors(unsampled())) == [NATURAL, BOUNDARY, ROBUST]


def test_each_bar_says_its_error_above_it_and_by_hover():
    bar = named(theory_errors(table()), BOUNDARY)
    assert list(bar.text) == [0.3, 1.0]
    assert (bar.texttemplate, bar.textposition) == ("%{text:.1%}", "outside")
    assert hovers(bar) == [
        "<b>class +</b>: 30.00%<extra>Boundary error</extra>",
        "<b>class -</b>: 100.00%<extra>Boundary error</extra>",
    ]


def test_the_hover_text_of_samples_tells_estimate_error_and_their_number():
    said = hovers(named(theory_errors(table()), COUNTED))
    assert said[5] == "<b>class -</b>: 93.00% ± 4.00% (n = 2,000)<extra>Counted</extra>"
    assert said[0] == "<b>class +</b>: 12.00% ± 1.00% (n = 2,000)<extra>Counted</extra>"


def test_each_error_has_its_colour_and_its_pattern():
    figure = theory_errors(table())
    looks = {bar.name: (bar.marker.color, bar.marker.pattern.shape) for bar in figure.data[:3]}
    assert looks == {NATURAL: ("#0072b2", ""), BOUNDARY: ("#e69f00", "."), ROBUST: ("#d55e00", "/")}


def test_the_axis_is_percent_from_zero_and_holds_everything():
    axis = theory_errors(table()).layout.yaxis
    assert (axis.title.text, axis.tickformat) == ("Error", ".0%")
    assert axis.rangemode == "tozero"
    assert holds(axis, 0, 1)
    assert not is_reversed(axis)
    assert all(bar.cliponaxis is False for bar in theory_errors(table()).data[:3])


def test_one_class_has_its_three_bars():
    figure = theory_errors(unsampled().query("`class` == 'class -'"))
    assert rows(figure.layout.xaxis) == {"class -": 0}
    assert [marks(bar) for bar in figure.data] == [[(-0.26, 0)], [(0, 1)], [(0.26, 0.9)]]
