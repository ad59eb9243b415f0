"""One thing has one colour, whichever chart it is in."""

import pandas as pd
import pytest

from app.charts.base import charts
from engine.scenario import METHODS
from tests.app.drawn import named

INTERVAL = {"value": 0.4, "low": 0.3, "high": 0.6, "n": 10, "card": "PGD-20"}
POINT = {
    f"{axis}{end}": value
    for axis, value in (("x", 0.8), ("y", 0.4))
    for end in ("", "_min", "_max", "_low", "_high")
}
OTHERS = {"group": "g", "seeds": "0", "size": 0.1, "front": True, "other_x": 0.8, "other_y": 0.4}
SHAPE = {"q05": 0.1, "q25": 0.2, "median": 0.3, "q75": 0.4, "q95": 0.5, "mean": 0.3}
RUN = {"title": "run", "variant": 0, "class": "cat", "rank": 1, "values": [0.4], "epoch": 1}
DIFFERENCE = {"corrected": 0.01, "differs": True}
CLASS = {
    "class": "cat",
    "n": 10,
    "label_group": "clean",
    "quantiles": [0.0, 1.0],
    "epoch": 1,
    "bound": 0.1,
    "value": 0.2,
    "current": 0.1,
    "score": 0.5,
    "density": 0.2,
    "trained": 0.2,
    "boundary": float("nan"),
    "reach": 0.1,
} | SHAPE
OF_METHODS = ("class_comparison", "class_difference", "ranking", "tradeoff", "tradeoff_path")
OF_CLASSES = ("bound_sweep", "class_means", "distribution", "sample_history", "score_densities")
OF_ERRORS = ("class_errors", "learning_curve", "theory_errors")
OF_GROUPS = ("sample_ecdf", "sample_spread")


def colours(name: str, **row) -> set[str]:
    """Return the full colours of dots, bars and lines of a chart of one row."""
    found = set()
    for trace in charts()[name].draw(pd.DataFrame([row])).data:
        marker, line = trace.marker.color, trace.line.color if trace.type == "scatter" else None
        found |= {colour for colour in (marker, line) if isinstance(colour, str)}
    return {colour for colour in found if colour.startswith("#")} - {"#8b94a3"}


@pytest.mark.parametrize("method", METHODS.names())
def test_a_method_has_one_colour_in_every_chart(method):
    row = {**INTERVAL, **POINT, **OTHERS, **RUN, **DIFFERENCE, "method": method}
    found = [colours(name, **row) for name in OF_METHODS]
    assert len(found[0]) == 1
    assert all(colour == found[0] for colour in found)


@pytest.mark.parametrize("index", [0, 1, 4, 13])
def test_a_class_has_one_colour_in_every_chart(index):
    found = [colours(name, **CLASS, class_index=index) for name in OF_CLASSES]
    assert len(found[0]) == 1
    assert all(colour == found[0] for colour in found)


ERRORS = {
    "natural_error": ("Natural error", "#0072b2"),
    "boundary_error": ("Boundary error", "#e69f00"),
    "robust_error": ("Robust error", "#d55e00"),
}


@pytest.mark.parametrize("name", OF_ERRORS)
def test_an_error_has_one_colour_in_every_chart(name):
    row = {**INTERVAL, "class": "cat", "epoch": 1, "estimate": 0.4, "standard_error": 0.1}
    figure = charts()[name].draw(pd.DataFrame([{**row, "name": error} for error in ERRORS]))
    for called, colour in ERRORS.values():
        trace = named(figure, called)
        assert (trace.marker.color or trace.line.color) == colour


@pytest.mark.parametrize(("group", "colour"), [("clean", "#3f90da"), ("flipped", "#bd1f01")])
def test_right_and_wrong_labels_have_one_colour_in_every_chart(group, colour):
    row = {**SHAPE, "class": "cat", "part": "", "n": 10, "value": 0.3, "share": 0.5}
    assert [colours(name, **row, label_group=group) for name in OF_GROUPS] == [{colour}] * 2
