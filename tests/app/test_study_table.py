"""The tables of a study: means over seeds, ranks, what is beyond chance, and every format."""

import io
import json
import statistics

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from app.compare.contest import contest, verdict
from app.compare.finished import Finished
from app.compare.study import best, ranked, study_tables
from app.compare.study_text import as_csv, as_json, as_latex, as_markdown
from db.reads.comparison import EVERY_OVERALL


def some_run(run_id: str, method: str, seed: int, protocol: str = "digits") -> Finished:
    card = {"dataset": protocol}
    return Finished(run_id, method, method, "digits", seed, card, protocol, method, ())


def results(**robust: float) -> pd.DataFrame:
    rows = [
        {"run_id": run_id, "name": name, "value": value / 2 if name.startswith("n") else value}
        for run_id, value in robust.items()
        for name in EVERY_OVERALL
    ]
    return pd.DataFrame(rows)


def three_seeds_of_two():
    runs = [some_run(f"a{seed}", "caat", seed) for seed in range(3)]
    runs += [some_run(f"b{seed}", "trades", seed) for seed in range(2)]
    (table,) = study_tables(runs, results(a0=0.3, a1=0.4, a2=0.5, b0=0.6, b1=0.62))
    return table


def test_a_row_is_mean_and_sample_deviation_over_its_seeds():
    row = three_seeds_of_two().rows.iloc[0]
    assert (row["method"], row["n"], row["seeds"]) == ("caat", 3, "0, 1, 2")
    assert row["robust_error"] == pytest.approx(statistics.mean([0.3, 0.4, 0.5]))
    assert row["robust_error_sd"] == pytest.approx(statistics.stdev([0.3, 0.4, 0.5]))
    low, high = stats.t.interval(0.95, 2, 0.4, stats.sem([0.3, 0.4, 0.5]))
    assert (row["robust_error_low"], row["robust_error_high"]) == pytest.approx((low, high))


def test_one_seed_has_neither_deviation_nor_interval():
    (table,) = study_tables([some_run("a", "caat", 0)], results(a=0.3))
    row = table.rows.iloc[0]
    assert np.isnan([row["robust_error_sd"], row["robust_error_low"]]).all()
    assert "| caat | 1 | 15.00 |" in as_markdown([table])


def test_scenarios_of_one_method_are_called_apart():
    runs = [some_run("a", "caat", 0), some_run("b", "caat", 0)]
    runs[1] = Finished(**{**vars(runs[1]), "scenario_id": "other"})
    (table,) = study_tables(runs, results(a=0.3, b=0.4))
    assert table.rows["title"].tolist() == ["caat [caat]", "caat [other]"]


def test_the_smallest_mean_as_it_is_written_is_best():
    rows = pd.DataFrame({"robust_error": [0.30001, 0.3, 0.4]})
    assert best(rows, "robust_error") == [True, True, False]
    assert best(rows[:1], "robust_error") == [False]


def test_means_that_are_written_alike_share_a_rank():
    runs = [some_run(method, method, 0) for method in ("a", "b", "c")]
    (table,) = study_tables(runs, results(a=0.300004, b=0.3, c=0.2))
    assert ranked(table, "robust_error")[["rank", "title"]].to_numpy().tolist() == [
        [1, "c"],
        [2, "a"],
        [2, "b"],
    ]


def test_the_protocol_with_the_most_runs_stands_first_and_each_is_ranked_alone():
    runs = [some_run("a", "caat", 0, "rare")] + [some_run(f"b{n}", "trades", n) for n in range(2)]
    found = study_tables(runs, results(a=0.1, b0=0.5, b1=0.7))
    assert [table.protocol["dataset"] for table in found] == ["digits", "rare"]
    assert [table.rows["title"].tolist() for table in found] == [["trades"], ["caat"]]
    assert [table.rows["robust_error"].tolist() for table in found] == [[0.6], [0.1]]


def test_an_interval_over_seeds_ends_at_nothing_and_at_everything():
    table = of_three_seeds(a=(0.0, 0.1, 0.05), b=(0.9, 1.0, 0.95))
    found = ranked(table, "robust_error")
    assert found["value"].tolist() == pytest.approx([0.05, 0.95])
    assert (found["low"][0], found["high"][1]) == (0, 1)
    assert table.rows["robust_error_low"][0] < 0
    assert found["values"].tolist() == [[0.0, 0.1, 0.05], [0.9, 1.0, 0.95]]


def test_two_seeds_make_no_interval():
    found = ranked(three_seeds_of_two(), "robust_error")
    assert found["n"].tolist() == [3, 2]
    assert found["low"].isna().tolist() == found["high"].isna().tolist() == [False, True]


def test_of_a_seed_that_was_run_again_the_newest_counts():
    runs = [some_run("new", "caat", 0), some_run("b", "caat", 1), some_run("old", "caat", 0)]
    (table,) = study_tables(runs, results(new=0.2, old=0.9, b=0.4))
    assert table.rows["n"].tolist() == [2]
    assert table.rows["robust_error"].tolist() == pytest.approx([0.3])


def test_markdown_has_the_best_in_bold_and_the_number_of_seeds():
    text = as_markdown([three_seeds_of_two()])
    assert "| caat | 3 | **20.00** ± 5.00 | " in text
    assert "| trades | 2 | 30.50 ± 0.71 | " in text


def of_three_seeds(**errors):
    runs = [some_run(f"{method}{seed}", method, seed) for method in errors for seed in range(3)]
    robust = {
        f"{method}{seed}": value
        for method, values in errors.items()
        for seed, value in enumerate(values)
    }
    (table,) = study_tables(runs, results(**robust))
    return table


def test_what_the_seeds_do_not_tell_from_the_best_is_in_italics_and_has_its_p_value():
    table = of_three_seeds(a=(0.40, 0.42, 0.44), b=(0.41, 0.45, 0.44), c=(0.60, 0.61, 0.63))
    text = as_markdown([table])
    assert "| a | 3 | **21.00** ± 1.00 | " in text
    assert "| b | 3 | *21.67* ± 1.04 | " in text
    assert "| c | 3 | 30.67 ± 0.76 | " in text
    assert r"\textit{21.67}" in as_latex([table])
    rows = json.loads(as_json([table]))["tables"][0]["rows"]
    p_values = [
        stats.ttest_rel(table.rows["robust_error_values"][place], [0.40, 0.42, 0.44]).pvalue
        for place in (1, 2)
    ]
    expected = multipletests(p_values, method="holm")[1]
    assert [rows[1]["robust_error_p"], rows[2]["robust_error_p"]] == pytest.approx(list(expected))
    assert rows[0]["robust_error_p"] is None


def test_a_lead_over_everybody_leaves_nobody_level():
    table = of_three_seeds(a=(0.1, 0.11, 0.12), b=(0.2, 0.211, 0.22), c=(0.3, 0.31, 0.322))
    found = contest(table.rows, "robust_error")
    assert found.reference == "a"
    assert [rival.title for rival in found.rivals] == ["b", "c"]
    assert all(rival.is_behind for rival in found.rivals)
    assert verdict(found) == (
        "Over the seeds it is ahead of b and c beyond chance (paired t-test, Holm, 5 %)."
    )


def test_seeds_that_two_do_not_share_are_not_compared():
    runs = [some_run(f"a{seed}", "a", seed) for seed in range(4)]
    runs += [some_run(f"b{seed}", "b", seed) for seed in range(2, 8)]
    errors = {run.id: 0.1 + 0.1 * (run.method == "b") + 0.01 * run.seed**2 for run in runs}
    (table,) = study_tables(runs, results(**errors))
    (rival,) = contest(table.rows, "robust_error").rivals
    assert rival.difference.n == 2
    assert np.isnan(rival.p_value)
    assert verdict(contest(table.rows, "robust_error")) == (
        "Against b there is no test: that takes 3 common seeds."
    )


def test_one_scenario_alone_has_no_contest():
    (alone,) = study_tables([some_run("a", "caat", 0)], results(a=0.3))
    assert contest(alone.rows, "robust_error") is None


def test_latex_is_a_booktabs_table_with_nothing_that_latex_would_read():
    runs = [some_run("a", "caat_&%", 0), some_run("b", "trades", 0)]
    text = as_latex(study_tables(runs, results(a=0.3, b=0.4)))
    assert r"caat\_\&\% & 1 & \textbf{15.00} & " in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert text.isascii()


def test_csv_and_json_hold_unrounded_shares():
    table = three_seeds_of_two()
    read = pd.read_csv(io.StringIO(as_csv([table])))
    assert read["robust_error_sd"][0] == table.rows["robust_error_sd"][0]
    (stored,) = json.loads(as_json([table]))["tables"]
    assert stored["rows"][0]["robust_error"] == pytest.approx(0.4)
    assert stored["protocol"] == {"dataset": "digits"}
    (alone,) = study_tables([some_run("a", "caat", 0)], results(a=0.3))
    assert json.loads(as_json([alone]))["tables"][0]["rows"][0]["robust_error_sd"] is None
