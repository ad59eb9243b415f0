"""Charts draw an empty and a full history, say who they are, and stay small."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.charts.base import CONFIG, band, charts
from app.run.curves import _script_url
from app.run.panels import MAX_POINTS, PLANS, panels

NUM_CLASSES = 10
EPOCHS = 100
APP = Path(__file__).parents[2] / "app"
BUDGET = 300_000
"""Bytes of one figure's JSON."""

FIXED = {
    "n": 100,
    "card": "PGD-20",
    "variant": 1,
    "front": True,
    "differs": True,
    "group": "0123abcd",
    "label_group": "clean",
    "part": "tail",
    "layer": "cell",
    "seeds": "0, 1",
}
"""What is neither a share nor a name."""

LISTS = {"quantiles": np.linspace(0, 1, 41).tolist(), "values": [0.2, 0.4]}
"""What has several numbers in a cell."""


def full_table(columns: tuple[str, ...]) -> pd.DataFrame:
    """A long history: a row per class, epoch and series where the chart knows such columns."""
    rows = pd.DataFrame({"class_index": np.arange(NUM_CLASSES)})
    rows["class"] = [f"<b>class</b> {index}" for index in rows["class_index"]]
    if "epoch" in columns:
        rows = rows.merge(pd.DataFrame({"epoch": np.arange(1, EPOCHS + 1)}), how="cross")
    if "name" in columns:
        names = ["natural_error", "boundary_error", "robust_error"]
        rows = rows.merge(pd.DataFrame({"name": names}), how="cross")
    for other in {"given", "said"} & set(columns):
        pairs = rows.rename(columns={"class_index": f"{other}_index", "class": other})
        rows = rows.assign(true=rows["class"]).merge(pairs, how="cross")
    for text in {"title", "method"} & set(columns):
        rows[text] = rows["class"]
    values = np.random.default_rng(0).uniform(0.1, 0.9, len(rows))
    for column in set(columns) - set(rows.columns):
        rows[column] = values
    for column in FIXED.keys() & set(columns):
        rows[column] = FIXED[column]
    for column in LISTS.keys() & set(columns):
        rows[column] = [LISTS[column]] * len(rows)
    return rows[list(columns)]


@pytest.mark.parametrize("name", charts())
def test_a_chart_of_nothing_says_so(name):
    chart = charts()[name]
    figure = chart.draw(pd.DataFrame(columns=list(chart.columns)))
    assert figure.layout.annotations[0].text == "Nothing recorded yet"


@pytest.mark.parametrize("name", charts())
def test_a_chart_of_a_long_history_is_drawn_within_budget(name):
    chart = charts()[name]
    figure = chart.draw(full_table(chart.columns))
    assert len(figure.data) >= 1
    assert len(figure.to_json()) < BUDGET


@pytest.mark.parametrize("name", charts())
def test_a_chart_shows_names_as_they_are(name):
    chart = charts()[name]
    figure = chart.draw(full_table(chart.columns))
    said = json.dumps(json.loads(figure.to_json()))
    # Plotly reads <b> as bold; only the tags of our own hover texts may stay.
    ours = re.sub(r"<b>(%\{|&lt;)", "", said)
    assert "<b>class" not in ours


def test_only_one_place_says_how_many_classes_a_chart_shows():
    own = re.compile(r"^MAX_CLASSES = |nlargest\(\d\d", re.MULTILINE)
    found = [file.name for file in APP.rglob("*.py") if own.search(file.read_text("utf-8"))]
    assert found == ["base.py"]


@pytest.mark.parametrize("name", ["class_comparison", "class_difference"])
def test_runs_stand_side_by_side_in_rows_of_classes_the_worst_on_top(name):
    chart = charts()[name]
    value = {("cat", "one"): 0.7, ("dog", "one"): 0.2, ("cat", "two"): 0.5, ("dog", "two"): 0.4}
    rows = [
        {"class": kind, "title": title, "method": "caat", "value": share}
        for (kind, title), share in value.items()
    ]
    table = full_table(chart.columns).head(len(rows)).assign(**pd.DataFrame(rows).to_dict("list"))
    figure = chart.draw(table)
    assert list(figure.layout.yaxis.ticktext) == ["dog", "cat"]
    one, two = (dict(zip(line.x, line.y, strict=True)) for line in figure.data)
    assert one[0.7] > two[0.5] > 0.5 > one[0.2] > two[0.4]
    assert one[0.7] - two[0.5] == pytest.approx(0.22)
    assert (one[0.7] + two[0.5]) / 2 == pytest.approx(1)


def test_a_band_runs_along_the_upper_ends_and_back_along_the_lower_ones():
    rows = pd.DataFrame({"x": [1, 2, 4], "low": [0.1, 0.2, 0.2], "high": [0.3, 0.5, 0.9]})
    area = band(rows["x"], rows, "#0072b2")
    assert list(area["x"]) == [1, 2, 4, 4, 2, 1]
    assert list(area["y"]) == [0.3, 0.5, 0.9, 0.2, 0.2, 0.1]
    assert (area["fill"], area["showlegend"]) == ("toself", False)


def a_chart() -> None:
    """A page with one chart."""
    from app.charts.base import nothing_yet
    from app.components.page import show_chart

    show_chart(nothing_yet(), key="one", alt="Nothing")


def test_nothing_can_be_sent_to_a_cloud():
    assert CONFIG["showSendToCloud"] is False


def test_a_chart_of_a_page_offers_no_cloud_shows_no_brand_and_is_as_wide_as_its_place():
    (chart,) = AppTest.from_function(a_chart).run().get("plotly_chart")
    told = json.loads(chart.proto.config)
    switched = {name: told[name] for name in ("showSendToCloud", "displaylogo", "responsive")}
    assert switched == {"showSendToCloud": False, "displaylogo": False, "responsive": True}


def test_plotlys_script_is_offered_by_this_server():
    assert _script_url().startswith("/component/")
    assert "plotly.min.js" in _script_url()


def history(epochs: int, batches: int = 10) -> pd.DataFrame:
    rows = [
        ("train", "batch_loss", step, (step - 1) // batches + 1, 1 / step)
        for step in range(1, epochs * batches + 1)
    ]
    for plan in PLANS:
        for name in plan.names:
            if name != "batch_loss":
                rows += [(plan.split, name, e * batches, e, 0.5) for e in range(1, epochs + 1)]
    return pd.DataFrame(rows, columns=["split", "name", "step", "epoch", "value"])


def test_only_panels_with_data_are_drawn():
    loss = history(3).query("name == 'loss'")
    assert [panel["key"] for panel in panels(loss, 10, 100)] == ["loss"]
    assert [panel["key"] for panel in panels(history(3), 10, 100)] == [plan.key for plan in PLANS]


def test_batches_are_placed_within_their_epoch():
    (panel,) = panels(history(2, batches=4).query("name == 'batch_loss'"), None, 0)
    assert list(panel["figure"].data[0].x) == [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]


def test_a_long_series_is_thinned_and_keeps_its_spikes():
    long = history(500).query("name == 'batch_loss'").reset_index(drop=True)
    long.loc[2345, "value"] = 99.0
    (panel,) = panels(long, 10, 0)
    drawn = panel["figure"].data[0]
    assert len(drawn.x) <= MAX_POINTS + 2
    assert max(drawn.y) == 99.0
    assert drawn.x[-1] == 500


def test_a_panel_says_its_newest_values_to_those_who_cannot_see_it():
    panel = panels(history(3), 10, 100)[0]
    assert (
        panel["alt"]
        == "Error on validation data: Natural error now 50.0 %, Robust error now 50.0 %"
    )


def test_the_curves_of_a_long_run_stay_within_budget():
    drawn = panels(history(200, batches=10), 10, 100)
    assert sum(len(panel["figure"].to_json()) for panel in drawn) < BUDGET
