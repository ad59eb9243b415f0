"""Studies: progress, means over seeds, rankings and what is done to all runs at once."""

import io
import json
import statistics

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from typer.testing import CliRunner

from app.cli.main import cli
from app.compare.contest import contest, verdict
from app.compare.finished import Finished
from app.compare.study import best, ranked, read_tables, study_tables
from app.compare.study_text import as_csv, as_json, as_latex, as_markdown
from db.reads.comparison import EVERY_OVERALL
from tests.app.shown import words

EVEN = [0.2] * 10


def links(page) -> list[str]:
    return [link.proto.label for link in page.get("page_link")]


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


def test_before_the_first_study_the_page_says_what_will_stand_here(studio, open_page):
    studio.finished("Alone")
    page = open_page("studies")
    assert "No study yet" in words(page)
    assert links(page)[-1] == "Start a study"


def test_every_study_is_listed_with_its_progress(studio, open_page):
    studio.finished("A", study="First", epochs=3)
    studio.queued("B", study="First", training={"epochs": 3})
    studio.queued("C", study="Second")
    table = open_page("studies").dataframe[0].value.set_index("study")
    assert table.loc["First", "done"] == "1 of 2"
    assert table.loc["First", "progress"] == 50
    assert table.loc["First", "state"] == "○ 1 queued, ✓ 1 finished"
    assert table.loc["Second", "done"] == "0 of 1"


def test_a_running_study_shows_each_run_by_method_and_seed(studio, open_page):
    run_id = studio.running("A", study="S", seed=3, training={"epochs": 8})
    studio.queued("A", study="S", seed=4)
    page = open_page("studies", study="S")
    (grid,) = [element.value for element in page.markdown if "Seed 3" in element.value]
    assert f"](run?id={run_id})" in grid
    assert "▶ Running, 42 %" in grid.replace("\\", "")
    assert "The table fills as runs finish" in words(page)
    assert not page.get("plotly_chart")


def test_a_finished_study_ranks_its_methods_and_offers_its_table(studio, open_page):
    for seed in range(2):
        better = studio.finished("S", study="S", seed=seed)
        studio.measured(better, [0.1 * (seed + 1)] * 10)
        studio.finished("S", study="S", seed=seed, method={"name": "trades"})
    page = open_page("studies", study="S", error="Robust, average")
    said = words(page)
    assert "caat has the lowest robust error on average: 15.00 %" in said
    low, high = stats.t.interval(0.95, 1, 0.15, stats.sem([0.1, 0.2]))
    assert f"95 % interval {100 * max(low, 0):.1f} % to {100 * high:.1f} %, n = 2 seeds" in said
    assert "**15.00** ± 7.07" in said
    assert page.get("plotly_chart")[0].proto.alt == "Ranking by Robust, average: 1. caat, 2. trades"
    names = [button.proto.label for button in page.get("download_button")]
    of_the_study, of_the_papers = names[:3], names[3:]
    assert of_the_study == ["Download CSV", "Download Markdown", "Download LaTeX"]
    assert of_the_papers == ["Download CSV"]


@pytest.mark.parametrize(("apart", "told"), [(0.1, "not to be told from"), (0.001, "ahead of")])
def test_whether_a_lead_is_beyond_chance_is_said(studio, open_page, apart, told):
    for seed in range(3):
        for method, robust in (("caat", 0.1), ("trades", 0.2)):
            run_id = studio.finished("S", study="S", seed=seed, method={"name": method})
            shift = apart * seed if method == "caat" else 0.0
            studio.measured(run_id, [robust + shift] * 10)
    said = words(open_page("studies", study="S", error="Robust, average"))
    assert f"Over the seeds it is {told} trades" in said
    assert "(paired t-test, Holm, 5 %)" in said


def test_those_that_share_the_lowest_error_are_all_named(studio, open_page):
    for method in ("caat", "trades", "wat"):
        run_id = studio.finished("S", study="S", method={"name": method})
        studio.measured(run_id, [0.4 if method == "wat" else 0.2] * 10)
    said = words(open_page("studies", study="S", error="Robust, average"))
    assert "caat and trades have the lowest robust error on average: 20.00 %" in said


def test_two_seeds_make_no_test_and_the_page_says_what_would(studio, open_page):
    for seed in range(2):
        for method in ("caat", "trades"):
            studio.finished("S", study="S", seed=seed, method={"name": method})
    said = words(open_page("studies", study="S", error="Robust, average"))
    assert "there is no test: that takes 3 common seeds" in said


def test_a_single_seed_says_so(studio, open_page):
    studio.finished("S", study="S")
    said = words(open_page("studies", study="S"))
    assert "A single seed: another one may tell another story" in said
    assert "1 method with a single seed and no interval" in said


def test_what_was_not_measured_alike_has_a_table_of_its_own(studio, open_page):
    studio.finished("S", study="S")
    studio.measured(studio.finished("S", study="S", method={"name": "trades"}), EVEN, epsilon=0.1)
    page = open_page("studies", study="S")
    said = words(page)
    assert "measured in 2 ways and are ranked within each only" in said
    assert "What differs is ε: 0.1 or 8/255" in said
    assert len(page.get("plotly_chart")) == 2
    assert "has the lowest" not in said


def test_a_lost_name_says_so_and_leads_home(studio, open_page):
    studio.queued("A", study="There")
    page = open_page("studies", study="Gone *x*")
    assert "There is no study *Gone *x**" in words(page)
    assert "All studies" in links(page)
    assert page.dataframe[0].value["study"].tolist() == ["There"]


def test_stop_asks_by_name_and_then_stops_every_run_that_has_not_ended(studio, open_page):
    trains, waits = studio.running("A", study="S"), studio.queued("B", study="S", seed=1)
    done, other = studio.finished("C", study="S", seed=2), studio.queued("D", study="T")
    page = open_page("studies", study="S")
    page.button(key="study-stop").click().run()
    assert "**S**" in words(page)
    assert "2 runs of this study" in words(page)
    assert studio.status(waits) == "queued"
    page.button(key="confirm-yes").click().run()
    assert not page.exception
    stands = [studio.status(run_id) for run_id in (trains, waits, done, other)]
    assert stands == ["stopping", "cancelled", "succeeded", "queued"]


def test_resume_queues_what_was_stopped_or_failed(studio, open_page):
    from tasks.study import stop_study

    failed, stopped = studio.failed("A", "lost"), studio.queued("B", study="S")
    stop_study("S", "test")
    page = open_page("studies", study="S")
    page.button(key="study-resume").click().run()
    page.button(key="confirm-yes").click().run()
    assert not page.exception
    assert (studio.status(stopped), studio.status(failed)) == ("queued", "failed")


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
    runs = [some_run(name, name[0], int(name[1])) for name in ("a0", "a1", "b0", "b1")]
    (table,) = study_tables(runs, results(a0=0.0, a1=0.1, b0=0.9, b1=1.0))
    found = ranked(table, "robust_error")
    assert found["value"].tolist() == pytest.approx([0.05, 0.95])
    assert (found["low"][0], found["high"][1]) == (0, 1)
    assert table.rows["robust_error_low"][0] < 0
    assert found["values"].tolist() == [[0.0, 0.1], [0.9, 1.0]]


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


@pytest.mark.parametrize(
    ("format_", "written"), [("markdown", as_markdown), ("latex", as_latex), ("csv", as_csv)]
)
def test_the_command_prints_what_the_page_offers(studio, format_, written):
    for seed in range(2):
        studio.finished("S", study="S", seed=seed)
    printed = CliRunner().invoke(cli, ["table", "S", "--format", format_])
    assert printed.exit_code == 0
    assert printed.stdout == written(read_tables(studio.database, "S"))


def test_the_command_names_the_studies_that_there_are(studio):
    studio.queued("A", study="Mine")
    printed = CliRunner().invoke(cli, ["table", "Other"])
    assert "no finished run belongs to 'Other'; the newest are 'Mine'" in str(printed.exception)


def test_of_many_studies_the_command_names_the_five_newest(studio):
    for number in range(7):
        studio.queued("A", study=f"Study {number}")
    printed = CliRunner().invoke(cli, ["table", "Other"])
    newest = ", ".join(f"'Study {number}'" for number in (6, 5, 4, 3, 2))
    assert str(printed.exception).endswith(f"the newest are {newest}")
