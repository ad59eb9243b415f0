"""Runs side by side: settings that differ, curves, classes over seeds, a baseline."""

import numpy as np
import pytest

from app.compare.groups import averages, baseline_differences, by_seeds, class_means
from app.compare.runs import finished
from app.compare.settings import not_alike, settings_table
from engine.evaluation.statistics import t_interval, wilson
from tests.app.shown import figures, words

ROBUST = "robust_error"


@pytest.fixture
def three(studio) -> list[str]:
    """Two seeds of CAAT and one run of TRADES, all measured alike."""
    caat = [studio.finished(f"Seed {seed}", seed=seed) for seed in (0, 1)]
    trades = studio.finished("<b>Other</b>", method={"name": "trades"}, seed=0)
    for run_id, robust in zip([*caat, trades], ([0.2] * 10, [0.4] * 10, [0.5] * 10), strict=True):
        studio.measured(run_id, robust)
    return [*caat, trades]


def test_without_runs_or_with_one_the_page_says_what_to_choose(studio, open_page):
    assert "No runs yet" in words(open_page("compare"))
    run_id = studio.queued("One")
    assert "Choose two runs or more" in words(open_page("compare", runs=[run_id, "gone"]))


def test_only_settings_that_differ_are_rows_unless_all_are_asked_for():
    one = {"seed": 0, "method": {"name": "trades", "beta": 6.0}, "training": {"epochs": 5}}
    other = {"seed": 0, "method": {"name": "caat"}, "training": {"epochs": 5}}
    table = settings_table({"a": one, "b": other}, all_of_them=False)
    assert table.values.tolist() == [
        ["method.name", "trades", "caat"],
        ["method.beta", "6", "–"],  # noqa: RUF001
    ]
    every = settings_table({"a": one, "b": other}, all_of_them=True)
    assert set(every["setting"]) == {"seed", "method.name", "method.beta", "training.epochs"}
    assert settings_table({"a": one, "b": one}, all_of_them=False).empty
    assert settings_table({"a": {}, "b": {}}, all_of_them=True).empty


def test_runs_that_are_no_comparison_say_so_first(studio, open_page):
    ids = [
        studio.finished("Short", epochs=3),
        studio.finished("Long", epochs=4, threat={"epsilon": 0.2}),
        studio.finished("Round", threat={"norm": "l2"}),
    ]
    page = open_page("compare", runs=ids)
    (told,) = [warning.value for warning in page.warning]
    for what in ("epochs: 3 or 4", "norm: linf or l2", "radius: 8/255 or 51/255"):
        assert what in told.replace("\\", "")
    assert not_alike([{}, {}]) == []


def test_the_page_shows_settings_curves_classes_and_a_baseline(three, open_page):
    page = open_page("compare", runs=three)
    said = words(page)
    assert "Same dataset, epochs, norm, radius and protocol" in said
    assert list(page.dataframe[0].value["setting"])[:2] == ["name", "seed"]
    curves, classes, forest = figures(page)
    assert [trace["name"] for trace in curves["data"]] == [
        "Seed 0, seed 0",
        "Seed 1, seed 1",
        "&lt;b&gt;Other&lt;/b&gt;, seed 0",
    ]
    assert len(classes["data"]) == 2
    assert len(forest["data"]) == 1
    links = {link.proto.label: link.proto.query_string for link in page.get("page_link")}
    for label in ("Image by image: Class fairness", "Natural against robust: Trade-off"):
        assert all(run_id in links[label] for run_id in three)


def test_smoothing_and_the_logarithm_stand_in_the_link(three, open_page):
    page = open_page("compare", runs=three, smooth="0.5", log="true")
    curves = figures(page)[0]
    assert curves["layout"]["yaxis"]["type"] == "log"
    assert len(curves["data"]) == 6  # what was recorded stands behind


def test_a_mean_over_seeds_has_students_interval_and_a_single_seed_wilsons(three):
    groups = by_seeds(sorted(finished(), key=lambda run: three.index(run.id)))
    assert [len(group.runs) for group in groups] == [2, 1]
    table = class_means(groups, ROBUST)
    two, one = (table[table["title"] == group.title].iloc[0] for group in groups)
    low, high = t_interval([0.2, 0.4])
    assert two["value"] == pytest.approx(0.3)
    assert np.isnan([low, high, two["low"], two["high"]]).all()  # two seeds make none
    expected = [float(end[0]) for end in wilson([0.5], [one["n"]])]
    assert (one["value"], one["low"], one["high"]) == pytest.approx((0.5, *expected))
    assert averages(groups, ROBUST)["value"].tolist() == pytest.approx([0.3, 0.5])


def test_a_difference_has_an_interval_over_common_seeds_or_else_over_images(studio, three):
    more = studio.finished("Other, again", method={"name": "trades"}, seed=1)
    studio.measured(more, [0.8] * 10)
    runs = sorted(finished(), key=lambda run: [*three, more].index(run.id))
    base, other = by_seeds(runs)
    table, why_not = baseline_differences(base, [other], ROBUST)
    assert why_not == []
    row = table.iloc[0]
    assert (row["value"], row["n"]) == (pytest.approx(0.35), 2)  # 0.3 and 0.4
    assert np.isnan([row["low"], row["high"]]).all()
    alone = by_seeds(runs)[0].runs[:1], other.runs[:1]
    single = [by_seeds(list(members))[0] for members in alone]
    table, _ = baseline_differences(single[0], [single[1]], ROBUST)
    assert "images, one seed" in table.iloc[0]["how"]
    assert table.iloc[0]["low"] < table.iloc[0]["value"] < table.iloc[0]["high"]
