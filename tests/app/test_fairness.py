"""Which classes pay: one run, several, and what may not be compared."""

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import delete

from app.compare import fairness as tables
from app.compare import runs as comparison
from app.compare.runs import Finished
from app.compare.words import collapse, compared, several_runs
from db.evaluations import NewEvaluation, outcomes, write_evaluation
from db.models import FINAL, Evaluation
from engine.evaluation.statistics import spread
from tests.app.shown import figures, words

EVEN = [0.2] * 10
HARD = [0.1] * 9 + [1.0]


def spreads_of(page) -> pd.DataFrame:
    return next(table.value for table in page.dataframe if "nsd" in table.value)


def links(page) -> list[str]:
    return [link.proto.label.replace("\\", "") for link in page.get("page_link")]


def some_run(run_id: str, method: str = "trades") -> Finished:
    return Finished(run_id, "A run", method, "digits", 0, {}, "", "", ())


@pytest.mark.parametrize("state", ["queued", "running"])
def test_before_a_run_has_finished_the_page_says_what_will_stand_here(studio, open_page, state):
    getattr(studio, state)("Under way")
    page = open_page("fairness")
    assert "No finished run yet" in words(page)
    assert links(page) == ["Start a new run"]


def test_without_a_choice_the_newest_finished_run_is_answered_for(studio, open_page):
    studio.finished("Older")
    newest = studio.finished("Newer")
    page = open_page("fairness")
    assert page.multiselect(key="choice-runs").value == [newest]
    assert page.button_group(key="error").value == "robust_error"
    assert page.button_group(key="error").proto.required  # another may be chosen, but not none
    said = words(page)
    assert "Worst class: class j, 70 % robust error, +30 points over the average" in said
    assert "95 % interval 40 % to 89 % (Wilson, n = 10)" in said
    assert "One seed (0)" in said
    assert "digits: PGD-20, linf, ε = 8/255, test, n = 100" in said
    assert len(figures(page)) == 2
    assert spreads_of(page)["error"].tolist() == [
        "Natural error",
        "Boundary error",
        "Robust error",
    ]


def test_runs_of_one_protocol_are_ranked_by_their_worst_class(studio, open_page):
    even, hard = studio.finished("Even"), studio.finished("Hard", seed=1)
    studio.measured(even, EVEN)
    studio.measured(hard, HARD)
    page = open_page("fairness", runs=[hard, even])
    said = words(page)
    best = f"caat · Even · seed 0 · linf 8/255 · {even[:8]}"
    assert f"{best} spares its worst class most: 20 % robust error" in said
    assert f"caat · Hard · seed 1 · linf 8/255 · {hard[:8]} least: 100 % in class class j" in said
    assert "Seeds: 0, 1" in said
    assert not page.warning
    table = spreads_of(page)
    assert table["worst"].tolist() == pytest.approx([20.0, 100.0])
    assert table["nsd"].tolist() == pytest.approx([0.0, 0.27 / 0.19], abs=1e-9)


def test_an_overlap_of_the_intervals_is_told(studio, open_page):
    one, other = studio.finished("One"), studio.finished("Other")
    studio.measured(one, EVEN)
    studio.measured(other, [0.3] * 10)
    assert "so the order may be chance" in words(open_page("fairness", runs=[one, other]))


def test_runs_measured_otherwise_stand_side_by_side_and_are_not_ranked(studio, open_page):
    one, other = studio.finished("One"), studio.finished("Other")
    studio.measured(other, EVEN, epsilon=16 / 255, versions={"torch": "1.0"}, seed=9)
    page = open_page("fairness", runs=[one, other])
    assert "differ in ε: 8/255 or 16/255." in page.warning[0].value.replace("\\", "")
    said = words(page)
    assert "spares its worst class most" not in said
    assert f"seed 0 · linf 8/255 · {one[:8]}" in said
    assert f"seed 0 · linf 16/255 · {other[:8]}" in said
    assert "Not compared image by image" in said
    assert "another protocol (ε: 8/255 or 16/255)" in said
    assert len(figures(page)) == 2


def test_a_difference_to_the_baseline_is_tested_class_by_class(studio, open_page):
    even, hard = studio.finished("Even"), studio.finished("Hard", method={"name": "trades"})
    studio.measured(even, [0.0] * 10)
    studio.measured(hard, [0.0] * 9 + [1.0])
    page = open_page("fairness", runs=[even, hard])
    said = words(page)
    assert "Beyond chance 1 worse than caat · Even" in said
    assert "of 10 tests; most of all class class j in trades · Hard" in said
    page.selectbox(key="choice-baseline").set_value(hard).run()
    assert not page.exception
    assert "Beyond chance 1 better than trades · Hard" in words(page)
    assert page.query_params["baseline"] == hard


def test_rho_adds_the_relative_gains_of_the_worst_class_and_of_the_average(studio, open_page):
    base, other = studio.finished("Base"), studio.finished("Other", method={"name": "trades"})
    studio.measured(base, [0.2] * 9 + [0.6])
    studio.measured(other, [0.3] * 9 + [0.5])
    page = open_page("fairness", runs=[base, other], baseline=base)
    gain = (0.5 - 0.4) / 0.4 + (0.68 - 0.76) / 0.76
    assert f"trades · Other · seed 0 · linf 8/255 · {other[:8]}: {gain:+.2f}." in words(page)
    page = open_page("fairness", runs=[base, other], baseline=base, error="Boundary error")
    assert "rho" not in words(page)


def test_without_the_answers_of_each_image_the_page_says_why_it_compares_none(studio, open_page):
    one, other = studio.finished("One"), studio.finished("Other")
    with studio.database.write() as session:
        session.execute(
            delete(Evaluation).where(Evaluation.run_id == other, Evaluation.name == FINAL)
        )
    said = words(open_page("fairness", runs=[one, other]))
    assert "what was said of each image is not stored" in said


def test_the_link_names_the_runs_by_their_ids_and_loses_no_other(studio, open_page):
    one, other = studio.finished("One"), studio.finished("Other")
    page = open_page("fairness", runs=[one, "0" * 32], error="Natural error")
    assert "1 of this link's choices cannot be shown here" in words(page)
    assert "50 % natural error" in words(page)
    page.multiselect(key="choice-runs").set_value([one, other]).run()
    assert page.query_params["runs"] == [one, other]
    page.multiselect(key="choice-runs").set_value([]).run()
    assert "Choose a run" in words(page)


def test_names_are_shown_letter_by_letter(studio, open_page):
    one, other = studio.finished("*a* <b> [c](d)"), studio.finished(":material/delete:")
    page = open_page("fairness", runs=[one, other])
    raw = "\n".join(element.value for kind in (page.markdown, page.caption) for element in kind)
    assert r"\*a\* \<b\> \[c\]\(d\)" in raw
    assert ":material/delete:" not in raw
    drawn = [trace["name"] for trace in figures(page)[0]["data"]]
    assert any(name.startswith("caat · *a* &lt;b&gt; [c](d) · seed 0") for name in drawn)
    assert any("<b>" in link for link in links(page))


def test_the_history_of_another_run_is_drawn_on_demand(studio, open_page):
    one, other = studio.finished("One"), studio.finished("Other")
    page = open_page("fairness", runs=[one, other], history=other)
    assert page.selectbox(key="choice-history").value == other
    assert "No class lost anything from one epoch to the next" in words(page)


def test_runs_of_other_classes_are_left_out_and_named(studio, open_page):
    from db.writes import records

    one, other = studio.finished("One"), studio.finished("Other")
    with studio.database.write() as session:
        records.write_facts(session, other, {"class_names": ["x", "y"]})
    page = open_page("fairness", runs=[one, other])
    assert "has other classes (digits) and is left out" in words(page)
    assert len(figures(page)) == 2


def test_the_largest_rise_is_the_one_of_a_calculation_by_hand():
    history = pd.DataFrame(
        {"class": list("aaabbb"), "class_index": [0, 0, 0, 1, 1, 1], "epoch": [1, 2, 4] * 2}
        | {"value": [0.1, 0.3, 0.2, 0.9, 0.4, 0.8]}
    )
    rise = tables.largest_rise(history)
    assert rise == tables.Rise("b", 2, 4, 0.4, 0.8)
    assert collapse(rise, "robust_error") == (
        "Largest loss in class b: from epoch 2 to 4, 40 % to 80 % robust error."
    )
    assert tables.largest_rise(history[history["epoch"] == 1]) is None


def test_the_spread_of_a_run_is_that_of_its_counts():
    wrong, n = np.array([1, 2, 7]), np.array([10, 10, 20])
    table = pd.DataFrame({"value": wrong / n, "n": n, "class": ["a", "b", "c"]})
    table = table.assign(run_id="r", title="A", method="m", seed=0, low=0.0, high=1.0)
    whole = pd.concat([table.assign(name=name) for name in tables.ERRORS])
    row = tables.spreads(whole).query("name == 'robust_error'").iloc[0]
    expected = spread(wrong, n)
    assert (row["average"], row["gap"], row["nsd"]) == pytest.approx(
        (expected.average, expected.gap, expected.nsd)
    )
    assert row["worst_class"] == "c"


def test_variants_do_not_depend_on_the_order_of_choosing():
    runs = [some_run("b"), some_run("a"), some_run("c", "caat")]
    assert tables.variants(runs) == tables.variants(runs[::-1]) == {"a": 0, "b": 1, "c": 0}


def test_that_nothing_differs_is_said_with_the_number_of_tests():
    table = pd.DataFrame({"differs": [False] * 3, "value": [0.1] * 3})
    said = compared(table, "base")
    assert said == "No class differs from base beyond chance (3 tests, corrected p < 0.05)"


def finished_by_id() -> dict[str, Finished]:
    return {run.id: run for run in comparison.finished()}


def test_a_class_differs_by_its_corrected_and_not_by_its_raw_p_value(studio, open_page):
    base, other, sure = studio.finished("Base"), studio.finished("Other"), studio.finished("Sure")
    studio.measured(base, [0.0] * 10)
    studio.measured(other, [0.0] * 9 + [0.6])
    studio.measured(sure, [0.0] * 9 + [1.0])
    runs = finished_by_id()
    table, _ = tables.difference_table(runs[base], [runs[other]], "robust_error")
    row = table[table["class"] == "class j"].iloc[0]
    # 6 images against none: 2 / 2 ** 6; the smallest of ten tests
    assert (row["p_value"], row["corrected"]) == pytest.approx((1 / 32, 10 / 32))
    assert not table["differs"].any()
    assert "No class differs from" in words(open_page("fairness", runs=[base, other]))
    # The tests of all runs are corrected together: 2 / 2 ** 10 is the smallest of twenty.
    table, _ = tables.difference_table(runs[base], [runs[other], runs[sure]], "robust_error")
    found = table[table["class"] == "class j"].set_index("title")["corrected"]
    assert found[runs[sure].label] == pytest.approx(20 / 512)
    assert found[runs[other].label] == pytest.approx(19 / 32)
    assert table[table["differs"]]["title"].tolist() == [runs[sure].label]


def shuffle_images(studio, run_id: str) -> None:
    """Store what a run's model said of its images in another order."""
    order = np.random.default_rng(0).permutation(100)
    with studio.database.write() as session:
        said = outcomes(session, run_id, FINAL)
        new = {name: column[order] for name, column in said.items()}
        write_evaluation(
            session, run_id, 1, new=NewEvaluation(FINAL, "attack", 100, {}, outcomes=new)
        )


def test_runs_whose_images_are_stored_in_another_order_are_compared_image_by_image(studio):
    base, other = studio.finished("Base"), studio.finished("Other")
    studio.measured(base, [0.3] * 9 + [0.0])
    studio.measured(other, [0.3] * 9 + [0.8])
    runs = finished_by_id()
    expected, _ = tables.difference_table(runs[base], [runs[other]], "robust_error")
    assert expected["value"].tolist() == pytest.approx([0.0] * 9 + [0.8])
    assert expected["p_value"].tolist() == pytest.approx([1.0] * 9 + [2 / 2**8])
    shuffle_images(studio, other)
    comparison.outcomes.clear()
    found, why_not = tables.difference_table(runs[base], [runs[other]], "robust_error")
    assert why_not == []
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("changed", ["sample", "label"])
def test_runs_that_were_shown_other_images_or_labels_are_not_compared(studio, changed):
    base, other = studio.finished("Base"), studio.finished("Other")
    with studio.database.write() as session:
        said = outcomes(session, other, FINAL)
        said[changed] = said[changed] + 1
        write_evaluation(
            session, other, 1, new=NewEvaluation(FINAL, "attack", 100, {}, outcomes=said)
        )
    runs = finished_by_id()
    table, (why_not,) = tables.difference_table(runs[base], [runs[other]], "robust_error")
    assert table.empty
    assert why_not.endswith("its test images are others")


@pytest.mark.parametrize(("high", "low", "doubted"), [(0.3, 0.29, True), (0.3, 0.31, False)])
def test_an_order_is_doubted_where_the_best_ones_interval_reaches_the_next(high, low, doubted):
    rows = [
        {"title": "next", "worst": 0.5, "worst_low": low, "worst_high": 0.8, "seed": 1},
        {"title": "best", "worst": 0.2, "worst_low": 0.1, "worst_high": high, "seed": 0},
        {"title": "last", "worst": 0.9, "worst_low": 0.1, "worst_high": 1.0, "seed": 2},
    ]
    table = pd.DataFrame(rows).assign(name="robust_error", worst_class="c", worst_n=10)
    headline, said = several_runs(table, "robust_error")
    assert headline.startswith("best spares its worst class most: 20 % robust error in class c")
    assert "last least: 90 %" in headline
    assert ("overlaps that of next" in said) is doubted
    assert said.endswith("Seeds: 0, 1, 2.")
