"""The page of one run: how it stands, and that stop, resume and delete ask first."""

from types import SimpleNamespace

import pytest
from sqlalchemy import update

from app.data import cached
from app.run_tabs.tabs import TABS
from db.models import Attempt, RunStatus
from db.reads import queries
from db.writes import transitions
from tasks.processes import lock
from tasks.processes.host import identity
from tasks.settings import settings
from tests.app.shown import words


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


@pytest.mark.parametrize("tab", TABS)
def test_a_run_that_stopped_early_is_done_and_says_so(tab, studio, open_page):
    run_id = studio.running("Early", 3, training={"epochs": 9, "patience": 2})
    with studio.database.write() as session:
        transitions.finish(session, run_id, 1, status=RunStatus.SUCCEEDED)
    page = open_page("run", id=run_id, tab=tab)
    assert not page.exception
    assert "Stopped early after 3 of 9 epochs" in words(page)


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
