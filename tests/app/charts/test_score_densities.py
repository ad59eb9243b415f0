"""Scores of both classes, the boundary between them, and how far an attack reaches."""

import numpy as np
import pandas as pd

from app.charts.score_densities import score_densities
from tests.app.drawn import holds, hovers, is_reversed, legend, marks, named

SCORES = [-2.0, 0.0, 3.0]
DENSITIES = {"class +": [0.0, 0.1, 0.5], "class -": [0.3, 0.2, 0.0]}
TRAINED = {"class +": [0.05, 0.4, 0.45], "class -": [0.3, 0.2, 0.0]}
"""Training moved the scores of class + only."""


def table(boundary: float = -0.5, reach: float = 2.0) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "class": name,
                "class_index": index,
                "score": SCORES,
                "density": DENSITIES[name],
                "trained": TRAINED[name],
            }
        )
        for index, name in enumerate(DENSITIES)
    ]
    return pd.concat(parts, ignore_index=True).assign(boundary=boundary, reach=reach)


def test_each_class_has_its_density_over_the_scores():
    figure = score_densities(table())
    assert marks(named(figure, "class +")) == [(-2, 0), (0, 0.1), (3, 0.5)]
    assert marks(named(figure, "class -")) == [(-2, 0.3), (0, 0.2), (3, 0)]


def test_what_training_moved_is_dotted_in_the_colour_of_its_class():
    figure = score_densities(table())
    moved = named(figure, "class +, moved")
    assert marks(moved) == [(-2, 0.05), (0, 0.4), (3, 0.45)]
    assert moved.line.dash == "dot"
    assert moved.line.color == named(figure, "class +").line.color == "#3f90da"
    assert named(figure, "class +").line.dash == "solid"


def test_what_training_did_not_move_is_drawn_once():
    assert legend(score_densities(table())) == ["class +", "class +, moved", "class -", "Boundary"]


def test_the_boundary_stands_upright_over_the_highest_density():
    (low, high) = marks(named(score_densities(table()), "Boundary"))
    assert low == (-0.5, 0)
    assert high[0] == -0.5
    assert 0.5 < high[1] < 0.6


def test_the_attack_reaches_as_far_to_either_side_of_the_boundary():
    (band,) = score_densities(table()).layout.shapes
    assert (band.type, band.x0, band.x1) == ("rect", -2.5, 1.5)
    assert band.fillcolor == "rgba(213, 94, 0, 0.16)"
    assert band.layer == "below"
    assert band.yref == "y domain"


def test_one_answer_for_every_score_has_no_boundary_and_no_reach():
    figure = score_densities(table(boundary=np.nan))
    assert "Boundary" not in legend(figure)
    assert not figure.layout.shapes


def test_the_axes_say_which_side_is_called_what_and_hold_all():
    layout = score_densities(table()).layout
    assert layout.xaxis.title.text == ("Score w·x; called - left of the boundary, + right of it")
    assert layout.yaxis.title.text == "Density, by prior"
    assert layout.yaxis.rangemode == "tozero"
    assert holds(layout.xaxis, -2.5, 3)
    assert holds(layout.yaxis, 0, 0.6)
    assert not is_reversed(layout.xaxis)
    assert not is_reversed(layout.yaxis)


def test_the_area_under_a_density_is_faint_in_its_colour():
    minus = named(score_densities(table()), "class -")
    assert (minus.fill, minus.fillcolor) == ("tozeroy", "rgba(255, 169, 14, 0.16)")
    assert minus.line.color == "#ffa90e"


def test_the_hover_text_tells_the_density():
    assert hovers(named(score_densities(table()), "class -"))[1] == "0.200<extra>class -</extra>"


def test_one_class_is_drawn_with_the_boundary():
    figure = score_densities(table().query("class_index == 1"))
    assert legend(figure) == ["class -", "Boundary"]
    assert marks(named(figure, "Boundary"))[1][1] < 0.4
