"""The page Studies: progress, answers, and what is done to all runs at once."""

import pytest
from scipy import stats
from typer.testing import CliRunner

from app.cli.main import cli
from app.compare.study import read_tables
from app.compare.study_text import as_csv, as_html, as_latex, as_markdown
from tests.app.shown import words

EVEN = [0.2] * 10


def links(page) -> list[str]:
    return [link.proto.label for link in page.get("page_link")]


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
    for seed in range(3):
        better = studio.finished("S", study="S", seed=seed)
        studio.measured(better, [0.1 * (seed + 1)] * 10)
        studio.finished("S", study="S", seed=seed, method={"name": "trades"})
    page = open_page("studies", study="S", error="Robust, average")
    said = words(page)
    assert "caat has the lowest robust error on average: 20.00 %" in said
    low, high = stats.t.interval(0.95, 2, 0.2, stats.sem([0.1, 0.2, 0.3]))
    assert f"95 % interval {100 * max(low, 0):.1f} % to {100 * high:.1f} %, n = 3 seeds" in said
    assert "**20.00** ± 10.00" in said
    assert page.get("plotly_chart")[0].proto.alt == "Ranking by Robust, average: 1. caat, 2. trades"
    names = [button.proto.label for button in page.get("download_button")]
    of_the_study, of_the_papers = names[:4], names[4:]
    assert of_the_study == [f"Download {kind}" for kind in ("CSV", "Markdown", "LaTeX", "HTML")]
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
    assert "2 seeds: no interval, that takes 3." in said
    assert "2 rows of fewer than 3 seeds, without one." in said


def test_a_single_seed_says_so(studio, open_page):
    studio.finished("S", study="S")
    said = words(open_page("studies", study="S"))
    assert "A single seed: another one may tell another story" in said
    assert "1 row of fewer than 3 seeds, without one." in said


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


@pytest.mark.parametrize(
    ("format_", "written"),
    [("markdown", as_markdown), ("latex", as_latex), ("csv", as_csv), ("html", as_html)],
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
