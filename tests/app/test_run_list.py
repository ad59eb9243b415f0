"""The list of runs: what stands in a row, what narrows it, who works, and where a choice leads."""

from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from app.data import cached
from tests.app.shown import words


def test_without_runs_the_first_page_offers_to_make_one(open_page):
    page = open_page("runs")
    assert "No runs yet" in words(page)
    assert "No worker is running" in words(page)
    assert "caat worker" in words(page)


def test_the_list_says_what_runs_and_what_is_done(studio, open_page):
    studio.finished("Done")
    studio.running("Still going")
    studio.queued("Waits")
    page = open_page("runs")
    assert "1 run in training, 1 waiting, 1 finished" in words(page)
    table = page.dataframe[0].value
    assert list(table["name"]) == ["Waits", "Still going", "Done"]
    assert list(table["measured_on"]) == ["–", "validation", "test"]  # noqa: RUF001
    assert table["robust_error"].tolist()[2] == pytest.approx(30.0)
    assert table["worst_robust_error"].tolist()[2] == pytest.approx(70.0)


def test_filters_come_from_the_link(studio, open_page):
    studio.finished("Clean", method={"name": "pgd-at"})
    studio.finished("Noisy", method={"name": "caat"})
    page = open_page("runs", method="pgd-at")
    assert list(page.dataframe[0].value["name"]) == ["Clean"]
    page = open_page("runs", q="noi")
    assert list(page.dataframe[0].value["name"]) == ["Noisy"]
    page = open_page("runs", status="failed")
    assert "No run matches" in words(page)


def test_a_worker_that_is_too_old_is_named_and_not_counted_on(studio, open_page, monkeypatch):
    monkeypatch.setattr("db.workers.head_revision", lambda: "0003")
    studio.report_worker()
    studio.queued("Waits")
    page = open_page("runs")
    head = studio.database.head_revision()
    told = f"worker on host lab-01 is older than the database (rev 0003 < {head}): upgrade it"
    assert told in words(page).replace("\\", "")
    assert "No worker is running and 1 run waits" in words(page)
    assert list(page.dataframe[1].value["state"]) == ["▲ too old"]


def the_workers() -> None:
    """A page of workers alone."""
    from app.components.workers import worker_panel

    worker_panel(0)


def test_a_worker_is_there_now_for_five_seconds_and_silent_after_thirty(studio, monkeypatch):
    studio.report_worker()
    (known,) = cached.workers()
    ages = {4.9: "now", 5.0: "5 s ago", 29.4: "29 s ago", 30.0: "30 s ago"}
    ages |= {86_399.0: "23 h 59 min ago"}  # after a day it is not listed
    seen = [replace(known, id=str(age), seconds_since_seen=age) for age in (*ages, 86_400.0)]
    monkeypatch.setattr(cached, "workers", lambda: seen)
    page = AppTest.from_function(the_workers).run()
    table = page.dataframe[0].value
    assert table["seen"].tolist() == list(ages.values())
    assert table["state"].tolist() == ["○ idle"] * 3 + ["▲ silent"] * 2
    assert "3 workers, 0 busy" in words(page)


def test_workers_stand_with_what_they_do(studio, open_page):
    run_id = studio.running("Busy run")
    studio.report_worker(state="busy", run_id=run_id)
    page = open_page("runs")
    assert "1 worker, 1 busy" in words(page)
    (work,) = page.dataframe[1].value["run"]
    assert work.startswith("Busy run: Epoch 4 of 30: training, step 4 of 10")


def test_a_row_has_its_scenario_in_short_and_its_curve(studio, open_page):
    noise, imbalance = {"kind": "pair", "ratio": 0.2}, {"factor": 10}
    studio.running("Noisy", 3, data={"noise": noise, "imbalance": imbalance})
    studio.queued("Joined", data={"imbalance": imbalance}, training={"with_meta": True})
    studio.queued("Waits")
    table = open_page("runs").dataframe[0].value.set_index("name")
    scenario = table.loc["Noisy", "scenario"]
    assert scenario == "digits, pair 20 %, imbalance 10 (realised 11)"
    assert table.loc["Noisy", "threat"] == "linf 8/255"
    assert (
        table.loc["Joined", "scenario"] == "digits, imbalance 10 (realised 4.1)"
    )  # (99 + 20) / (9 + 20)
    assert list(table.loc["Noisy", "curve"]) == pytest.approx([0.5, 0.65, 0.7])
    assert table.loc["Waits", "curve"] is None


def test_a_long_list_is_read_page_by_page_and_the_page_stands_in_the_link(studio, open_page):
    for number in range(cached.RUNS_A_PAGE + 1):
        studio.queued(f"Run {number}")
    page = open_page("runs")
    assert len(page.dataframe[0].value) == cached.RUNS_A_PAGE
    assert "51 runs, 50 a page" in words(page)
    assert open_page("runs", page="2").dataframe[0].value["name"].tolist() == ["Run 0"]
    far = open_page("runs", page="99")
    assert len(far.dataframe[0].value) >= 1


def test_selected_runs_lead_to_their_comparison(studio, open_page):
    done = [studio.finished("One"), studio.finished("Two")]
    page = open_page("runs")
    page.session_state["chosen-runs"] = (*done, studio.running("Three"))
    cached.forget_runs()
    page.run()
    said = words(page)
    assert "3 runs selected" in said
    assert "2 of them finished; only these are compared" in said
    links = {link.proto.label: link.proto.query_string for link in page.get("page_link")}
    for label in ("Compare classes", "Compare trade-off"):
        assert sorted(parse_qs(links[label])["runs"]) == sorted(done)


def test_an_idle_list_notices_a_run_that_was_launched_elsewhere(studio, open_page):
    page = open_page("runs")
    before = cached.overview().token
    studio.queued("From elsewhere")
    cached.forget_runs()
    assert cached.overview().token > before
    assert page.run().dataframe[0].value["name"].tolist() == ["From elsewhere"]


@pytest.mark.parametrize("state", ["finished", "running"])
def test_a_run_that_comes_while_a_page_is_drawn_redraws_it_where_no_list_looks_by_itself(
    studio, open_page, monkeypatch, state
):
    getattr(studio, state)("Here")
    read = cached.run_curves

    def read_late(*reached):
        """Read after the rows of the table, of which the new run is none."""
        if len(studio.runs()) == 1:
            studio.queued("From elsewhere")
            cached.forget_runs()
        return read(*reached)

    monkeypatch.setattr(cached, "run_curves", read_late)
    names = open_page("runs").dataframe[0].value["name"].tolist()
    assert names == {"finished": ["From elsewhere", "Here"], "running": ["Here"]}[state]
