"""What a figure of Plotly shows: its marks, whiskers, labels and hover texts, read from its data.

Numbers are rounded, so that a test can write them down by hand.
"""

import re
from typing import Any

import plotly.graph_objects as go

DIGITS = 6
_FIELD = re.compile(r"%\{(\w+)((?:\[\d+\])*)(?::([^}]*))?\}")


def legend(figure: go.Figure) -> list[str]:
    """Return the names in the legend, from its beginning."""
    return [trace.name for trace in figure.data if trace.name and trace.showlegend is not False]


def named(figure: go.Figure, name: str) -> Any:
    """Return the one trace of that name."""
    (trace,) = [trace for trace in figure.data if trace.name == name]
    return trace


def numbers(values: Any) -> list[Any]:
    return [value if isinstance(value, str) or value is None else _round(value) for value in values]


def _round(value: Any) -> float:
    return round(float(value), DIGITS)


def marks(trace: Any) -> list[tuple[Any, Any]]:
    """Return where the marks are: (x, y) of each."""
    return list(zip(numbers(trace.x), numbers(trace.y), strict=True))


def whiskers(trace: Any, axis: str = "x") -> list[tuple[float, float]]:
    """Return where the whiskers of each mark end: (low, high)."""
    bars = trace[f"error_{axis}"]
    assert bars.type in (None, "data")
    assert bars.visible is not False
    one_length = bars.symmetric or bars.arrayminus is None
    down = bars.array if one_length else bars.arrayminus
    ends = zip(trace[axis], down, bars.array, strict=True)
    return [(_round(value - minus), _round(value + plus)) for value, minus, plus in ends]


def holds(axis: Any, *values: float) -> bool:
    """Return whether all values are within the axis; Plotly fits one without a range itself."""
    if axis.range is None:
        return axis.autorange is not False
    return min(axis.range) <= min(values) and max(values) <= max(axis.range)


def is_reversed(axis: Any) -> bool:
    return axis.autorange == "reversed" or (
        axis.range is not None and axis.range[0] > axis.range[1]
    )


def rows(axis: Any) -> dict[str, float]:
    """Return which name stands at which place of an axis with names."""
    assert axis.tickmode == "array"
    return dict(zip(axis.ticktext, axis.tickvals, strict=True))


def cells(trace: Any, values: str = "z") -> dict[tuple[Any, Any], Any]:
    """Return what a heatmap has in each cell, by (name of the row, name of the column)."""
    grid = trace[values]
    return {
        (row, column): _cell(grid[i][j])
        for i, row in enumerate(trace.y)
        for j, column in enumerate(trace.x)
    }


def _cell(value: Any) -> Any:
    """Return a cell's text or number; None for NaN, which has no colour."""
    if isinstance(value, str):
        return value
    return None if value != value else _round(value)


def hovers(trace: Any) -> list[str]:
    """Return the hover text of every mark, its numbers filled in."""
    return [_filled(trace, (place,)) for place in range(len(trace.x))]


def cell_hovers(trace: Any) -> dict[tuple[Any, Any], str]:
    """Return the hover text of every coloured cell of a heatmap, by (row, column)."""
    return {
        (row, column): _filled(trace, (i, j))
        for i, row in enumerate(trace.y)
        for j, column in enumerate(trace.x)
        if _cell(trace.z[i][j]) is not None
    }


def _filled(trace: Any, place: tuple[int, ...]) -> str:
    assert trace.hoverinfo != "skip"

    def field(match: re.Match[str]) -> str:
        name, deeper, form = match.groups()
        value = trace[name]
        along = {"x": place[-1:], "y": place[:1]}.get(name, place)
        for index in (*along, *map(int, re.findall(r"\d+", deeper))):
            value = value[index]
        return _d3(value, form or "")

    return _FIELD.sub(field, trace.hovertemplate)


def _d3(value: Any, form: str) -> str:
    """Write a value in a format of d3, as far as it agrees with Python's."""
    if isinstance(value, str):
        return value
    if form in ("", ",") and value == int(value):
        return format(int(value), form)
    return format(float(value), f"#{form}" if form.endswith("g") else form).rstrip(".")


def lines_at(figure: go.Figure, axis: str = "x") -> list[float]:
    """Return where lines cross the whole picture: upright ones for ``x``."""
    other = "y" if axis == "x" else "x"
    return [
        _round(shape[f"{axis}0"])
        for shape in figure.layout.shapes
        if shape.type == "line"
        and shape[f"{axis}0"] == shape[f"{axis}1"]
        and (shape[f"{other}ref"] or "").endswith("domain")
    ]
