"""Who is best at what: points over seeds, the front, and what is kept apart."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from app.charts.base import charts
from app.compare import runs as comparison
from app.compare import tradeoff as tables
from app.compare.runs import Finished
from db.writes import records
from db.writes.records import MetricRow
from tests.app.shown import figures, words

EVEN = [0.2] * 10
HARD = [0.1] * 9 + [1.0]


def links(page) -> list[str]:
    return [link.proto.label.replace("\\", "") for link in page.get("page_link")]


def rows_of(page) -> pd.DataFrame:
    return next(table.value for table in page.dataframe if "front" in table.value)


def some_run(run_id: str, scenario: str, seed: int, title: str = "A run") -> Finished:
    card = {"dataset": "digits"}
    return Finished(run_id, title, "trades", "digits", seed, card, "p", scenario, ())


def results(**robust: float) -> pd.DataFrame:
    table = pd.DataFrame({"run_id": list(robust), "robust": list(robust.values())})
    return table.assign(natural=0.9, worst_natural=0.8, worst_robust=table["robust"] / 2)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_before_a_run_has_finished_the_page_says_what_will_stand_here(studio, open_page, state):
    getattr(studio, state)("Under way")
    page = open_page("tradeoff")
    assert "No finished run yet" in words(page)
    assert links(page) == ["Start a new run"]


def test_runs_that_differ_in_nothing_but_seed_and_name_are_one_point(studio, open_page):
    for seed in range(3):
        studio.measured(studio.finished(f"Seed {seed}", seed=seed), [0.1 * (seed + 1)] * 10)
    studio.measured(studio.finished("Alone", method={"name": "trades"}), HARD)
    page = open_page("tradeoff")
    table = rows_of(page).set_index("method")
    assert table["n"].to_dict() == {"caat": 3, "trades": 1}
    assert table["title"]["caat"] == "caat on digits"
    assert table["robust"]["caat"] == pytest.approx(0.8)
    assert table.loc["caat", ["robust_min", "robust_max"]].tolist() == pytest.approx([0.7, 0.9])
    said = words(page)
    assert "1 of them on a single seed, which has no whisker" in said
    assert "2 of 2 scenarios on the Pareto front" not in said


def test_the_best_at_both_is_said_in_words_and_stands_alone_on_the_front(studio, open_page):
    studio.measured(studio.finished("Good"), EVEN)
    studio.finished("Worse", method={"name": "trades"})
    page = open_page("tradeoff")
    said = words(page)
    assert "caat · Good is best at both: 100.0 % natural and 80.0 % robust accuracy" in said
    assert "1 of 2 scenarios on the Pareto front" in said
    assert page.get("plotly_chart")[0].proto.alt.endswith("on the Pareto front: caat · Good")


def test_the_front_is_that_of_the_runs_that_the_filters_leave(studio, open_page):
    studio.measured(studio.finished("Good"), EVEN)
    other = studio.finished("Worse", method={"name": "trades"})
    assert "trades · Worse is best at both" in words(open_page("tradeoff", methods="trades"))
    page = open_page("tradeoff", runs=[other])
    assert "1 of 1 scenario on the Pareto front" in words(page)
    assert rows_of(page)["title"].tolist() == ["trades · Worse"]


def test_average_and_worst_class_may_have_different_winners(studio, open_page):
    studio.measured(studio.finished("Even"), EVEN)
    studio.measured(studio.finished("Hard", method={"name": "trades"}), HARD)
    assert "trades · Hard is best at both: 100.0 % natural and 81.0 %" in words(
        open_page("tradeoff")
    )
    page = open_page("tradeoff", accuracy="Worst class")
    assert (
        "caat · Even is best at both: 100.0 % natural and 80.0 % robust accuracy in the worst"
        in words(page)
    )


def test_one_chart_has_one_protocol_and_the_others_are_told(studio, open_page):
    for name in ("One", "Other"):
        studio.finished(name, seed=len(name))
    apart = studio.finished("Apart", method={"name": "trades"})
    studio.measured(apart, EVEN, epsilon=16 / 255)
    page = open_page("tradeoff")
    said = words(page)
    assert "1 other run was not measured alike and cannot be ranked here" in said
    assert "What differs is ε: 8/255 or 16/255" in said
    assert rows_of(page)["method"].tolist() == ["caat"]
    menu = page.selectbox(key="choice-protocol")
    menu.set_value(next(key for key in protocols(page) if key != menu.value)).run()
    assert rows_of(page)["method"].tolist() == ["trades"]
    assert len(page.query_params["protocol"]) == 8


def protocols(page) -> list[str]:
    return list(dict.fromkeys(run.protocol_id for run in comparison.finished()))


def test_a_chosen_point_leads_to_its_runs_and_to_its_classes(studio, open_page):
    for seed in range(3):
        studio.measured(studio.finished("Trio", seed=seed), [0.1 * (seed + 1)] * 10)
    group = rows_of(open_page("tradeoff"))["group"][0]
    page = open_page("tradeoff", point=group)
    named = links(page)
    assert [label[:20] for label in named[:3]] == [f"caat · Trio · seed {n}" for n in range(3)]
    assert named[3] == "Which classes pay?"
    low, high = stats.t.interval(0.95, 2, 0.8, stats.sem([0.9, 0.8, 0.7]))
    assert f"robust 80.0 % ({100 * low:.1f} % to {100 * high:.1f} %, n = 3 seeds)" in words(page)


@pytest.mark.parametrize(("seeds", "told"), [(1, "1 seed"), (2, "2 seeds")])
def test_a_point_of_too_few_seeds_says_that_it_has_no_interval(studio, open_page, seeds, told):
    for seed in range(seeds):
        studio.finished("Few", seed=seed)
    group = rows_of(open_page("tradeoff"))["group"][0]
    said = words(open_page("tradeoff", point=group))
    assert f"{told}: no interval, that takes 3." in said
    assert f"n = {told}" not in said


def test_the_way_there_is_drawn_on_demand(studio, open_page):
    studio.finished("Alone", epochs=4)
    assert len(figures(open_page("tradeoff"))) == 1
    page = open_page("tradeoff", paths="true")
    path = figures(page)[1]["data"][0]
    assert len(path["marker"]["size"]) == 4
    assert "on validation data and with the weaker attack" in words(page)


def test_names_are_shown_letter_by_letter(studio, open_page):
    studio.finished("*a* <b> [c](d)")
    page = open_page("tradeoff")
    headline = next(element.value for element in page.markdown if "best at both" in element.value)
    assert r"\*a\* \<b\> \[c\]\(d\)" in headline
    (trace,) = [trace for trace in figures(page)[0]["data"] if trace["name"] == "caat"]
    assert trace["text"] == ["caat · *a* &lt;b&gt; [c](d)"]


def test_a_repeated_seed_counts_once_and_the_newest_run_stands_for_it():
    runs = [some_run("new", "s", 0), some_run("b", "s", 1), some_run("old", "s", 0)]
    (seeds,) = tables.groups(runs).values()
    assert [run.id for run in seeds] == ["new", "b"]


def test_a_point_is_the_mean_of_its_seeds_with_students_interval():
    runs = [some_run(name, "s", seed) for seed, name in enumerate("abc")]
    (row,) = tables.points(runs, results(a=0.4, b=0.5, c=0.6), "average").to_dict("records")
    low, high = stats.t.interval(0.95, 2, 0.5, stats.sem([0.4, 0.5, 0.6]))
    assert row["robust"] == pytest.approx(0.5)
    assert (row["robust_low"], row["robust_high"]) == pytest.approx((low, high))
    assert (row["robust_min"], row["robust_max"]) == (0.4, 0.6)
    assert (row["n"], row["seeds"]) == (3, "0, 1, 2")


def test_a_single_seed_has_no_interval_and_no_whisker():
    table = tables.points([some_run("a", "s", 7)], results(a=0.4), "average")
    assert np.isnan(table["robust_low"][0])
    drawn = charts()["tradeoff"].draw(tables.drawn(table, "average", same_scale=False))
    assert list(drawn.data[1].error_y.array) == [0.0]
    assert "one seed (7)" in drawn.data[1].customdata[0]


def test_runs_without_test_results_are_no_points():
    assert tables.points([some_run("a", "s", 0)], results(b=0.4), "average").empty


def test_one_scale_for_both_measures_holds_the_points_of_both():
    runs = [some_run(name, name, 0) for name in "ab"]
    table = tables.points(runs, results(a=0.4, b=0.6), "average")
    ranges = [
        charts()["tradeoff"].draw(tables.drawn(table, measure, same_scale=True)).layout.yaxis.range
        for measure in tables.MEASURES
    ]
    assert ranges[0] == pytest.approx(ranges[1])
    assert ranges[0][0] < 0.2 < 0.6 < ranges[0][1]


def test_the_front_is_drawn_as_the_edge_of_what_it_dominates():
    runs = [some_run(name, name, 0) for name in "ab"]
    accuracies = results(a=0.6, b=0.4).assign(natural=[0.7, 0.9])
    table = tables.points(runs, accuracies, "average")
    assert table["front"].all()
    line = charts()["tradeoff"].draw(tables.drawn(table, "average", same_scale=False)).data[0]
    assert line.line.shape == "vh"
    assert list(line.x[1:]) == [0.7, 0.9, 0.9]
    assert list(line.y[:3]) == [0.6, 0.6, 0.4]


def test_the_front_is_that_of_the_measure_that_is_asked_for():
    runs = [some_run(name, name, 0) for name in "ab"]
    accuracies = results(a=0.6, b=0.5).assign(worst_natural=[0.1, 0.2], worst_robust=[0.1, 0.2])
    fronts = {
        measure: tables.points(runs, accuracies, measure).set_index("title")["front"].tolist()
        for measure in ("average", "worst")
    }
    assert fronts == {"average": [True, False], "worst": [False, True]}


def test_the_axes_are_natural_and_robust_accuracy_of_the_measure():
    table = tables.points([some_run("a", "s", 0)], results(a=0.4), "average")
    table = table.assign(natural=0.9, robust=0.4, worst_natural=0.7, worst_robust=0.2)
    for measure, axes in (("average", (0.9, 0.4)), ("worst", (0.7, 0.2))):
        (point,) = tables.drawn(table, measure, same_scale=True).to_dict("records")
        assert (point["x"], point["y"]) == axes
        assert (point["other_x"], point["other_y"]) != axes
        assert point["size"] == 0.2


def test_the_accuracies_of_a_run_are_those_of_its_newest_test_and_of_no_other_split(studio):
    run_id = studio.finished("A", epochs=3)
    with studio.database.write() as session:
        for epoch, value in ((5, 0.75), (4, 0.5)):
            row = MetricRow("test", "robust_error", 10 * epoch, epoch, value)
            records.write_metrics(session, run_id, 1, rows=[row])
    (found,) = comparison.accuracies((run_id,)).to_dict("records")
    assert found["robust"] == pytest.approx(0.25)
    assert found["natural"] == pytest.approx(0.9)
    assert found["worst_natural"] == pytest.approx(0.5)
    history = comparison.histories((run_id,))
    assert history["natural"].tolist() == pytest.approx([0.7, 0.85, 0.9])
