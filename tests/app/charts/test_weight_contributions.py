"""Why this weight: a bar per characteristic, with its sign and what it is compared with."""

import pandas as pd

from app.charts.weight_contributions import weight_contributions
from tests.app.drawn import hovers, marks

TABLE = pd.DataFrame(
    {
        "name": ["loss", "margin", "entropy"],
        "contribution": [0.02, -0.3, 0.0],
        "value": [2.5, -0.5, 1.0],
        "mean": [1.0, 0.25, 1.0],
    }
)


def test_the_largest_contribution_stands_on_top_whatever_its_sign():
    (bars,) = weight_contributions(TABLE).data
    assert bars.orientation == "h"
    assert marks(bars) == [(0.0, "Entropy"), (0.02, "Loss"), (-0.3, "Margin")]


def test_what_lowers_the_weight_has_a_colour_and_hatches_of_its_own():
    (bars,) = weight_contributions(TABLE).data
    assert bars.marker.color == ("#e76300", "#3f90da", "#e76300")
    assert bars.marker.pattern.shape == ("/", "", "/")


def test_the_axis_has_a_line_at_nothing_and_tells_signs():
    axis = weight_contributions(TABLE).layout.xaxis
    assert axis.zeroline
    assert axis.tickformat == "+.3~g"
    assert axis.title.text == "Adds to the weight"


def test_the_hover_text_tells_the_value_and_the_mean_of_the_class():
    (bars,) = weight_contributions(TABLE).data
    assert hovers(bars)[2] == (
        "<b>Margin</b>: -0.3000<br>-0.5000, mean of the class 0.2500<extra></extra>"
    )
