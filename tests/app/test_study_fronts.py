"""Fronts of a study: at equal natural error, with intervals over seeds and test images."""

from dataclasses import replace

import numpy as np
import pytest

from app.compare.study import StudyTable, study_tables
from app.compare.study_fronts import common_level, compared, lines, points
from tests.app.shown import words
from tests.app.test_study_scenarios import of_file
from tests.app.test_study_table import results

SIZE, CLASSES = 400, 4
LABEL = np.arange(SIZE) % CLASSES
SETTINGS = {
    "one, beta = 1": ("one", 0.10, 0.60),
    "one, beta = 3": ("one", 0.20, 0.40),
    "one, beta = 6": ("one", 0.30, 0.50),  # dominated
    "two, beta = 1": ("two", 0.14, 0.70),
    "two, beta = 3": ("two", 0.24, 0.50),
    "alone": ("alone", 0.18, 0.90),
}
"""Family, natural error and robust error of class 0, that the other classes stay below."""


def said(natural: float, robust: float, seed: int):
    """Return outcomes whose class 0 is worst, by 1 point more for each seed."""
    within = np.arange(SIZE) // CLASSES  # place in its class, of 100
    clean = np.where(within < np.rint(100 * natural), (LABEL + 1) % CLASSES, LABEL)
    share = np.where(LABEL == 0, robust + 0.01 * (seed - 1), robust / 2)
    attacked = np.where(within[::-1] < np.rint(100 * share), (LABEL + 1) % CLASSES, LABEL)
    return {"sample": np.arange(SIZE), "label": LABEL, "clean": clean, "attacked": attacked}


@pytest.fixture
def table() -> StudyTable:
    runs = []
    for place, (title, (family, _, _)) in enumerate(SETTINGS.items()):
        for seed in range(3):
            run = of_file("noise", title, seed, place)
            runs.append(replace(run, cell_name=title, family=family))
    (found,) = study_tables(runs, results(**{run.id: 0.5 for run in runs}))
    return found


def stored(run_id: str):
    title, seed = run_id.removeprefix("noise/")[:-1], int(run_id[-1])
    _, natural, robust = SETTINGS[title]
    return said(natural, robust, seed)


@pytest.fixture
def found(table):
    return points(table, "worst_robust_error", stored)


def test_a_point_is_the_mean_over_common_seeds_of_what_was_said_of_the_images(found):
    assert found.rows["title"].tolist() == list(SETTINGS)
    assert found.seeds == [0, 1, 2]
    expected = [(natural, robust) for _, natural, robust in SETTINGS.values()]
    assert found.mean == pytest.approx(np.array(expected))
    average = points_of_average(found)
    place = average.rows["title"].tolist().index("one, beta = 1")
    assert average.mean[place, 1] == pytest.approx((0.60 + 3 * 0.30) / 4)


def points_of_average(found):
    runs = [of_file("noise", title, seed, 0) for title in SETTINGS for seed in range(3)]
    runs = [replace(run, cell_name=run.method) for run in runs]
    (table,) = study_tables(runs, results(**{run.id: 0.5 for run in runs}))
    return points(table, "robust_error", stored)


def test_seeds_on_the_same_images_vary_with_them_together(found):
    middle = found.drawn.mean(axis=0)
    assert middle[:, 0] == pytest.approx(found.mean[:, 0], abs=0.005)
    one_draw = np.sqrt(0.1 * 0.9 / SIZE)  # three seeds tell no more about the images than one
    assert found.drawn[:, 0, 0].std() == pytest.approx(one_draw, rel=0.1)


def test_seeds_on_images_of_their_own_vary_less_together(table):
    def own(run_id: str):
        return {**stored(run_id), "sample": np.arange(SIZE) + SIZE * int(run_id[-1])}

    apart = points(table, "worst_robust_error", own)
    assert apart.drawn[:, 0, 0].std() == pytest.approx(np.sqrt(0.1 * 0.9 / SIZE / 3), rel=0.1)


def test_methods_are_compared_where_every_one_has_a_setting(found):
    assert common_level(found) == pytest.approx(0.18)
    told = compared(found, 0.18).set_index("family")
    assert told.loc["one", "value"] == pytest.approx(0.60 - 0.20 * 0.8)
    assert told.loc["two", "value"] == pytest.approx(0.70 - 0.20 * 0.4)
    assert told.loc["alone", "value"] == pytest.approx(0.90)
    assert told.index.tolist() == ["one", "two", "alone"]
    assert told["settings"].tolist() == [3, 2, 1]


def test_the_gap_to_the_best_has_an_interval_in_the_same_draws(found):
    told = compared(found, 0.20).set_index("family")
    assert (told.loc["one", "gap"], told.loc["one", "gap_low"]) == (0, 0)
    assert told.loc["two", "gap"] == pytest.approx(0.58 - 0.40)
    assert told.loc["two", "gap_low"] < 0.18 < told.loc["two", "gap_high"]
    assert told.loc["two", "low"] < told.loc["two", "value"] < told.loc["two", "high"]


def test_left_of_every_setting_there_is_no_error(found):
    told = compared(found, 0.12).set_index("family")
    assert np.isnan(told.loc["alone", "value"])
    assert told.index[0] == "one"


def test_the_volume_is_the_area_that_a_front_is_better_than(found):
    volume = compared(found, 0.2).set_index("family")["volume"]
    assert volume["alone"] == pytest.approx(0.82 * 0.10)
    assert volume["one"] == pytest.approx(0.10 * 0.40 + 0.80 * 0.60)


def test_lines_join_the_front_and_every_setting_is_a_point(found):
    drawn = lines(found)
    assert (drawn["part"] == "point").sum() == len(SETTINGS)
    front = drawn[(drawn["part"] == "line") & (drawn["family"] == "one")]
    assert (front["x"].min(), front["x"].max()) == pytest.approx((0.10, 0.20))
    assert (front["low"] <= front["high"]).all()
    assert "alone" not in set(drawn.loc[drawn["part"] == "line", "family"])


def test_a_row_whose_outcomes_are_lost_is_left_out(table):
    found = points(table, "robust_error", lambda i: None if "alone" in i else stored(i))
    assert found.left_out == ["alone"]
    assert points(table, "robust_error", lambda _: None) is None


@pytest.mark.parametrize("family", ["trades", None])
def test_the_page_draws_fronts_of_what_was_swept_or_says_how_to_sweep(studio, open_page, family):
    for place, beta in enumerate((1.0, 6.0)):
        run_id = studio.finished("S", study="S", method={"name": "trades", "beta": beta})
        studio.measured(run_id, [0.2 + 0.1 * place] * 10)
        name = f"trades, beta = {beta}"
        studio.called(run_id, "S", "", name, family=family or name, place=place)
    page = open_page("studies", study="S", evidence="Fronts")
    said, charts = words(page), page.get("plotly_chart")
    if family is None:
        assert "A front takes several settings of a method" in said
        assert len(charts) == 1
    else:
        assert "At 0.0 % natural error trades has the lowest error (robust, worst): 20.0 %" in said
        assert charts[1].proto.alt == "Fronts: robust, worst"
