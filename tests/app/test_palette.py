"""Colours stay apart, for every reader (CIE76 distance; Machado, Oliveira and Fernandes 2009)."""

import tomllib
from itertools import combinations
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from app.text.palette import (
    BOUNDARY,
    ERRORS,
    METHODS,
    NATURAL,
    PETROFF_10,
    ROBUST,
    Style,
    class_style,
    method_style,
)
from db.reads import headline
from engine import scenario
from engine.evaluation import error_names

ROOT = Path(__file__).parents[2]

VISION = {
    "normal": "1 0 0; 0 1 0; 0 0 1",
    "protanopia": "0.152286 1.052583 -0.204868; 0.114503 0.786281 0.099216; "
    "-0.003882 -0.048116 1.051998",
    "deuteranopia": "0.367322 0.860646 -0.227968; 0.280085 0.672501 0.047413; "
    "-0.011820 0.042940 0.968881",
    "tritanopia": "1.255528 -0.076749 -0.178779; -0.078411 0.930809 0.147602; "
    "0.004733 0.691367 0.303900",
}
"""Full-severity matrices of Machado et al., row by row, applied to linear RGB."""

XYZ_ROWS = "0.4124564 0.3575761 0.1804375; 0.2126729 0.7151522 0.0721750; "
XYZ_ROWS += "0.0193339 0.1191920 0.9503041"


def matrix(rows: str) -> np.ndarray:
    return np.array([[float(value) for value in row.split()] for row in rows.split(";")])


XYZ = matrix(XYZ_ROWS)
WHITE = XYZ @ np.ones(3)


def lab(color: str, vision: str) -> np.ndarray:
    srgb = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(matrix(VISION[vision]) @ linear, 0, 1)
    t = XYZ @ seen / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def smallest_distance(colors: tuple[str, ...], vision: str) -> float:
    seen = [lab(color, vision) for color in colors]
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))


@pytest.mark.parametrize("vision", VISION)
def test_the_ten_class_colours_stay_apart(vision):
    assert smallest_distance(PETROFF_10, vision) >= 16


@pytest.mark.parametrize("vision", VISION)
def test_the_three_errors_stay_apart(vision):
    assert smallest_distance((NATURAL.color, BOUNDARY.color, ROBUST.color), vision) >= 16


def test_no_error_is_told_by_colour_alone():
    assert len({style.symbol for style in ERRORS.values()}) == len(ERRORS)
    assert len({style.dash for style in ERRORS.values()}) == len(ERRORS)


def test_a_hundred_classes_keep_their_style_and_neighbours_of_one_colour_differ():
    styles = [class_style(index) for index in range(100)]
    assert styles[3] == class_style(3)
    assert all(styles[index][1:] != styles[index + 10][1:] for index in range(90))


def test_every_method_has_a_style_and_no_two_share_a_shape():
    styles = [method_style(name) for name in scenario.METHODS.names()]
    assert set(METHODS) <= set(scenario.METHODS.names())
    assert len({style.symbol for style in styles}) == len(styles)


@pytest.mark.parametrize("vision", VISION)
def test_the_colours_of_methods_are_one_or_stay_apart(vision):
    assert smallest_distance(tuple({style.color for style in METHODS.values()}), vision) >= 16


def test_a_method_keeps_its_colour_and_shape_whatever_protocol_it_follows():
    plain, released = method_style("caat"), method_style("caat (as-released, changed)")
    assert plain == METHODS["caat"]
    assert released == plain._replace(symbol="star-open")


def test_runs_of_one_method_differ_in_their_filling():
    styles = [method_style("trades", variant) for variant in range(4)]
    assert len({style.symbol for style in styles}) == 4
    assert {style.color for style in styles} == {METHODS["trades"].color}


def test_a_method_of_a_plug_in_keeps_its_style_from_one_start_to_the_next():
    assert method_style("my-method") == Style("#94a4a2", "triangle-ne", "dash")
    assert method_style("my-method") != method_style("another")


def test_a_method_of_a_plug_in_takes_no_shape_of_ours():
    theirs = {method_style(f"plug-in {number}").symbol for number in range(200)}
    assert len(theirs) > 1
    assert theirs.isdisjoint(style.symbol for style in METHODS.values())


def test_every_shape_is_one_that_plotly_knows():
    names = [*METHODS, *(f"plug-in {number}" for number in range(200))]
    for style in (method_style(name, variant) for name in names for variant in range(4)):
        assert go.Scatter(marker={"symbol": style.symbol}).marker.symbol == style.symbol


def luminance(color: str) -> float:
    srgb = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return float(XYZ[1] @ linear)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("kind", ["light", "dark"])
def test_text_on_the_primary_colour_and_links_on_the_page_can_be_read(kind):
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"][kind]
    assert contrast("#ffffff", theme["primaryColor"]) >= 4.5
    for ground in ("backgroundColor", "secondaryBackgroundColor"):
        assert contrast(theme["linkColor"], theme[ground]) >= 4.5
        assert contrast(theme["primaryColor"], theme[ground]) >= 3  # what is no text


def test_engine_database_and_charts_call_the_three_errors_the_same():
    assert list(ERRORS) == list(error_names.ERRORS) == list(headline.ERRORS)
    assert ERRORS[error_names.NATURAL_ERROR] is NATURAL
    assert ERRORS[error_names.BOUNDARY_ERROR] is BOUNDARY
    assert ERRORS[error_names.ROBUST_ERROR] is ROBUST
