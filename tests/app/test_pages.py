"""Every page, empty, while a run trains and when it is done."""

import re
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest
from sqlalchemy import update

from app.data import cached, resilient
from app.run_tabs.tabs import TABS
from db.errors import DatabaseBusyError, DatabaseUnreachableError
from db.models import Attempt, RunStatus
from db.reads import queries
from db.writes import transitions
from tasks.processes import lock
from tasks.processes.host import identity
from tasks.settings import settings
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


def test_a_worker_that_no_longer_renews_its_lease_is_said_to_be_cut_off(
    studio, open_page, monkeypatch
):
    run_id = studio.running("Alone")
    told = "Worker cannot reach the database"
    with studio.database.write() as session:
        session.execute(update(Attempt).values(lease_seconds=60))
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=1000.0)
    monkeypatch.setattr("tasks.worker.liveness.time", clock)
    assert told not in words(open_page("run", id=run_id))
    clock.now += 14
    cached.forget_runs()
    assert told not in words(open_page("run", id=run_id))
    clock.now += 2
    cached.forget_runs()
    assert told in words(open_page("run", id=run_id))
    with studio.database.write() as session:
        transitions.heartbeat(session, run_id, 1, lease_seconds=60)
    cached.forget_runs()
    assert told not in words(open_page("run", id=run_id))


def test_a_run_whose_worker_is_gone_is_shown_as_lost_with_what_can_be_done(studio, open_page):
    studio.worker = identity()
    run_id = studio.running("Orphan")
    with lock.held(settings().run_dir(run_id)):
        page = open_page("run", id=run_id)
        assert "Worker lost" not in words(page)
    cached.forget_runs()
    page = open_page("run", id=run_id)
    assert "Worker lost" in words(page)
    assert "Its worker is gone; a worker that starts goes on" in words(page)
    assert [b.label for b in page.button if b.label in ("Stop", "Resume")] == ["Stop", "Resume"]
    (status,) = open_page("runs").dataframe[0].value["status"]
    assert status == ["▲ Worker lost"]
    with studio.database.read() as session:
        assert queries.get_run(session, run_id).status == "running"  # a look writes nothing


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
    studio.queued("Waits")
    table = open_page("runs").dataframe[0].value.set_index("name")
    scenario = table.loc["Noisy", "scenario"]
    assert scenario == "digits, pair 20 %, imbalance 10 (realised 11)"
    assert table.loc["Noisy", "threat"] == "linf 8/255"
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


@pytest.mark.parametrize("tab", TABS)
def test_a_run_that_stopped_early_is_done_and_says_so(tab, studio, open_page):
    run_id = studio.running("Early", 3, training={"epochs": 9, "patience": 2})
    with studio.database.write() as session:
        transitions.finish(session, run_id, 1, status=RunStatus.SUCCEEDED)
    page = open_page("run", id=run_id, tab=tab)
    assert not page.exception
    assert "Stopped early after 3 of 9 epochs" in words(page)


@pytest.mark.parametrize(
    ("run_id", "told"),
    [
        ("0" * 32, f"There is no run with the id {'0' * 32}: it was deleted"),
        ("<b>nonsense</b>", "There is no run with the id <b>nonsense</b>: it was deleted"),
        ("x" * 3000, f"There is no run with the id {'x' * 32}...: it was deleted"),
        ("", "This link names no run."),
    ],
)
def test_a_link_to_no_run_leads_home(open_page, run_id, told):
    page = open_page("run", id=run_id)
    assert "No such run" in words(page)
    assert told in words(page)
    assert page.get("page_link")[0].proto.label == "All runs"


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("fairness", {"runs": "deleted"}),
        ("tradeoff", {"runs": "deleted"}),
        ("tradeoff", {"protocol": "nonsense"}),
        ("tradeoff", {"point": "nonsense"}),
    ],
)
def test_a_comparison_of_what_is_gone_says_so(studio, open_page, name, query):
    studio.finished()
    assert "link_off" in words(open_page(name, **query))


def test_a_comparison_of_deleted_runs_alone_leads_home(studio, open_page):
    studio.finished()
    links = open_page("fairness", runs="deleted").get("page_link")
    assert [link.proto.label for link in links] == ["All runs"]


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_of_a_run_without_data_says_what_will_stand_there(studio, open_page, tab):
    page = open_page("run", id=studio.queued("Waits"), tab=tab)
    assert page.title[0].value == "Waits"
    assert "Waiting for a worker" in page.get("progress")[0].proto.text
    expected = {
        "Live": "No curves",
        "Classes": "No errors",
        "Samples": "No weights",
        "Attack": "No attack yet",
        "Setup": "The trainer tells sizes",
        "Log": "No worker has taken this run",
    }
    assert expected[tab] in words(page)


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("state", ["running", "finished"])
def test_every_tab_draws(studio, open_page, state, tab):
    page = open_page("run", id=getattr(studio, state)(), tab=tab)
    kind, number = {
        "Live": ("bidi_component", 1),
        "Classes": ("plotly_chart", 2),
        "Samples": ("plotly_chart", 2),
        "Attack": ("plotly_chart", 2 if state == "finished" else 0),
        "Setup": ("dataframe", 3),
        "Log": ("dataframe", 2),
    }[tab]
    assert len(page.get(kind)) >= number


def test_only_the_open_tab_is_drawn(studio, open_page):
    page = open_page("run", id=studio.finished(), tab="Setup")
    assert not page.get("plotly_chart")
    assert not page.get("bidi_component")


def test_the_classes_tab_names_the_worst_class_in_words(studio, open_page):
    page = open_page("run", id=studio.finished(), tab="Classes")
    said = words(page)
    assert (
        "Worst class: class j, 70 % robust error (linf 8/255), +30 points over the average" in said
    )
    assert "n = 10" in said
    assert "test data" in said


def test_while_a_run_trains_its_classes_are_of_the_newest_validation_epoch(studio, open_page):
    page = open_page("run", id=studio.running(epochs=3), tab="Classes")
    assert "validation data after epoch 3" in words(page)


def test_the_attack_tab_names_the_most_frequent_mistake_and_its_interval(studio, open_page):
    said = words(open_page("run", id=studio.finished(), tab="Attack"))
    mistake = "Under attack class j is taken for class a most: 70 % of its images, 50 % without"
    assert mistake in said
    assert "Worst class: class j, 70 % robust error (linf 8/255) (95 % interval 40 %" in said


def test_the_attack_tab_lists_every_evaluation_and_draws_the_one_in_the_link(studio, open_page):
    run_id = studio.finished()
    studio.attacked(run_id, "PGD-1", in_vain=True)
    page = open_page("run", id=run_id, tab="Attack", attack="PGD-1")
    listed = page.dataframe[-1].value
    assert listed["name"].tolist() == ["At the end of training", "PGD-1"]
    assert listed["robust"].tolist() == pytest.approx([40.0, 35.0])
    assert "Worst class: class f, 50 % robust error" in words(page)


def test_an_attack_that_is_not_in_pixels_says_so_beside_its_numbers(studio, open_page):
    run_id = studio.finished()
    studio.attacked(run_id, "as released", space="normalised tensors")
    said = words(open_page("run", id=run_id, tab="Attack", attack="as released"))
    assert "not in pixels: normalised tensors" in said


def test_a_stored_curve_says_where_half_of_the_accuracy_is_lost(studio, open_page):
    run_id = studio.finished()
    wrong = [[1] * 10, [3] * 10, [6] * 10]
    curve = {"epsilon": [0.0, 4 / 255, 8 / 255], "wrong": wrong, "count": [10] * 10}
    studio.found(run_id, "curve", curve)
    page = open_page("run", id=run_id, tab="Attack")
    assert "Half of the clean accuracy is lost at linf 8/255." in words(page)
    assert len(page.get("plotly_chart")) == 3


@pytest.mark.parametrize(
    ("passed", "verdict"),
    [(True, "No sign of it: it passes 2 checks."), (False, "**1 of 2 checks failed")],
)
def test_masking_checks_stand_with_their_reasons(studio, open_page, passed, verdict):
    run_id = studio.finished()
    checks = [
        {"name": "random starts end alike", "passed": True, "reason": "Spread is 0.01.",
         "figures": {}},
        {"name": "more steps do not help", "passed": passed, "reason": "It rises.", "figures": {}},
    ]  # fmt: skip
    studio.found(run_id, "masking", {"checks": checks})
    said = words(open_page("run", id=run_id, tab="Attack"))
    assert verdict in said
    assert ("Failed: more steps do not help" in said) is not passed
    assert "Spread is 0.01." in said


def test_the_attack_tab_shows_the_command_that_makes_more(studio, open_page):
    run_id = studio.finished()
    page = open_page("run", id=run_id, tab="Attack")
    assert page.code[-1].value.startswith(f"caat evaluate {run_id[:8]}")


def test_epoch_and_quantity_come_from_the_link(studio, open_page):
    link = {"id": studio.finished(), "tab": "Samples", "epoch": "2", "quantity": "Bound"}
    page = open_page("run", **link, labels="Wrong labels")
    assert page.select_slider[0].value == 2
    assert page.selectbox(key="quantity").value == "bound"
    assert "Bound: highest mean in class j" in words(page)


def test_the_gallery_shows_images_of_the_chosen_class(studio, open_page):
    page = open_page("run", id=studio.finished(), tab="Samples", **{"class": "class a"})
    said = words(page)
    assert "**class a** :gray[· sample 0]" in said
    assert "**class b**" not in said
    assert len(page.get("image")) == 2 * 5


def test_a_failed_run_says_why_and_what_was_kept(studio, open_page):
    page = open_page("run", id=studio.failed("Broken", "Out of memory: 3 GiB"))
    assert "Out of memory: 3 GiB. Kept: 1 finished epoch." in words(page)


def test_a_name_is_shown_letter_by_letter(studio, open_page):
    page = open_page("run", id=studio.queued("*a* <b> [c](d)"))
    assert page.title[0].value == r"\*a\* \<b\> \[c\]\(d\)"


def test_stop_asks_first_and_then_stops_the_run_that_it_named(studio, open_page):
    run_id = studio.running("The one")
    other = studio.running("Another")
    page = open_page("run", id=run_id)
    page.button(key="header-stop").click().run()
    assert "**The one**" in words(page)
    assert studio.status(run_id) == RunStatus.RUNNING
    page.button(key="confirm-yes").click().run()
    assert studio.status(run_id) == RunStatus.STOPPING
    assert studio.status(other) == RunStatus.RUNNING


def test_a_question_stays_while_the_page_is_drawn_again_until_it_is_answered(studio, open_page):
    run_id = studio.running("The one")
    page = open_page("run", id=run_id)
    page.button(key="header-stop").click().run()
    page.run()
    page.button(key="confirm-no").click().run()
    assert "**The one**" not in words(page)
    assert studio.status(run_id) == RunStatus.RUNNING


def test_resume_queues_a_failed_run_again(studio, open_page):
    run_id = studio.failed("Broken", "why")
    page = open_page("run", id=run_id)
    page.button(key="header-resume").click().run()
    page.button(key="confirm-yes").click().run()
    assert studio.status(run_id) == RunStatus.QUEUED


def test_delete_asks_first_and_then_deletes_the_run_that_it_named(studio, open_page):
    studio.worker = identity()  # its files are on this host
    run_id, other = studio.finished("Old"), studio.finished("Kept")
    page = open_page("run", id=run_id)
    page.button(key="header-delete").click().run()
    assert "**Old**" in words(page)
    assert studio.status(run_id) == RunStatus.SUCCEEDED
    page.button(key="confirm-yes").click().run()
    assert page.title[0].value == "No such run"
    assert not page.exception
    assert studio.status(other) == RunStatus.SUCCEEDED


def test_a_finished_run_offers_neither_stop_nor_resume(studio, open_page):
    page = open_page("run", id=studio.finished())
    assert not [b for b in page.button if b.key in ("header-stop", "header-resume")]


def test_a_database_that_is_gone_is_told_in_one_line(open_page, monkeypatch):
    def gone():
        raise DatabaseUnreachableError("cannot use the database at x: no route")

    monkeypatch.setattr(cached, "database", gone)
    page = open_page("runs")
    assert "cannot use the database" in words(page)
    assert not page.exception


@pytest.mark.parametrize(
    ("error", "told"),
    [(DatabaseBusyError, "Database busy"), (DatabaseUnreachableError, "Database unreachable")],
)
def test_while_the_database_is_away_the_last_good_data_stay_with_their_time(
    studio, open_page, monkeypatch, error, told
):
    def gone():
        raise error("locked")

    studio.finished("Done")
    page = open_page("runs")
    assert "showing data from" not in words(page)
    with monkeypatch.context() as patch:
        patch.setattr(cached, "database", gone)
        cached.forget_runs()
        page.run()
        assert re.search(rf"{told}, showing data from \d\d:\d\d:\d\d", words(page))
        assert not page.exception
        assert not page.error
        assert list(page.dataframe[0].value["name"]) == ["Done"]
    resilient._memory().asked_at = 0
    page.run()
    assert "showing data from" not in words(page)
