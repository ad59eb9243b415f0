"""Jobs on the pages: queued by a form, listed with their run and nowhere else, with a page each."""

import pytest

from app.data import cached
from db.models import RunStatus
from db.reads import queries
from db.writes import records, transitions
from tests.app.shown import words
from tests.app.studio import Studio


@pytest.fixture
def evaluable(studio: Studio) -> str:
    """A finished run whose checkpoint is on the host of its worker."""
    run_id = studio.finished("The run")
    with studio.database.write() as session:
        records.write_checkpoint(session, run_id, 1, epoch=3, path="x", size=1, sha256="0")
    return run_id


def jobs_of(studio: Studio, run_id: str):
    with studio.database.read() as session:
        return queries.list_jobs(session, run_id)


def test_the_form_queues_an_evaluation_that_stands_with_its_run_alone(studio, open_page, evaluable):
    page = open_page("run", id=evaluable, tab="Attack")
    page.selectbox(key="evaluate-attack").set_value("pgd")
    page.number_input(key="evaluate-subset").set_value(50)
    page.checkbox(key="evaluate-curve").check()
    (queue,) = [button for button in page.button if button.label == "Queue it"]
    queue.click().run()
    assert not page.exception
    (job,) = jobs_of(studio, evaluable)
    assert (job.kind, job.status, job.name) == ("evaluation", "queued", "pgd, subset 50, curve")
    page = open_page("run", id=evaluable, tab="Attack")
    assert "Jobs about this run" in [part.value for part in page.subheader]
    assert [bar.proto.text for bar in page.get("progress")] == ["Waiting for a worker"]
    (listed,) = open_page("runs").dataframe
    assert len(listed.value) == 1


def test_a_form_that_cannot_work_says_why(studio, open_page, evaluable):
    page = open_page("run", id=evaluable, tab="Attack")
    page.number_input(key="evaluate-subset").set_value(101)
    (queue,) = [button for button in page.button if button.label == "Queue it"]
    queue.click().run()
    assert "101 is not valid; the set has 100 images" in page.error[0].value
    assert jobs_of(studio, evaluable) == []


def test_a_job_has_a_page_that_leads_to_its_run(studio, open_page, evaluable):
    page = open_page("run", id=evaluable, tab="Attack")
    (queue,) = [button for button in page.button if button.label == "Queue it"]
    queue.click().run()
    (job,) = jobs_of(studio, evaluable)
    with studio.database.write() as session:
        transitions.claim(session, job.id, studio.worker, lease_seconds=3600)
        place = {"epoch": 1, "step": 30, "num_steps": 100}
        transitions.progress(session, job.id, 1, **place, phase="evaluating")
    page = open_page("run", id=job.id)
    assert page.title[0].value == "Evaluation\\: apgd"
    assert "30 of 100 images" in page.get("progress")[0].proto.text
    assert [tab.label for tab in page.tabs] == ["Log"]
    with studio.database.write() as session:
        done = RunStatus.SUCCEEDED
        transitions.finish(session, job.id, 1, status=done, message="Stored with run x: PGD")
    cached.forget_runs()
    assert "Stored with run x: PGD" in words(open_page("run", id=job.id))
