"""Jobs about a run: evaluations and exports by real workers, killed, stopped and side by side."""

import json
import os
import signal
import subprocess

import pytest
from sqlalchemy import func, select, update

from db.evaluations import evaluations
from db.models import FINAL, Run, RunStatus
from db.reads import listing, queries
from db.reads.comparison import finished_runs
from tests.faults.traces import stored_evaluations, stored_parts
from tests.real.studio import Studio

TINY = """
name = "tiny"
seed = 3
[data]
dataset = "digits"
train_size = 200
test_size = 100
meta_per_class = 5
val_per_class = 5
[threat]
epsilon = 0.1
num_steps = 2
[method]
name = "pgd-at"
[training]
epochs = 1
batch_size = 32
lr = 0.05
[evaluation]
num_steps = 3
val_num_steps = 2
batch_size = {batch_size}
"""
LONG = ("--attack", "apgd")
"""In batches of few images it takes seconds."""


def train(studio: Studio, batch_size: int = 4) -> str:
    """Train here and return the run's id."""
    studio.scenario.write_text(TINY.format(batch_size=batch_size))
    done = studio.caat("run", str(studio.scenario), "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["run_id"])


def queue(studio: Studio, run_id: str, *words: str) -> str:
    """Queue an evaluation and return the job's id."""
    done = studio.caat("evaluate", run_id, *words, "--queue", "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["run_id"])


def names(studio: Studio, run_id: str) -> set[str]:
    with studio.database.read() as session:
        return {row.name for row in evaluations(session, run_id)}


def kill(worker: "subprocess.Popen[bytes]") -> None:
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()


@pytest.fixture(params=["sqlite", "postgresql"])
def studio(request: pytest.FixtureRequest) -> Studio:
    found: Studio = request.getfixturevalue(f"{request.param}_studio")
    return found


@pytest.mark.parametrize(
    ("studio", "words"),
    [
        ("sqlite", LONG),
        ("postgresql", ("--attack", "autoattack", "--subset", "20", "--epsilon", "0.02")),
    ],
    indirect=["studio"],
    ids=["sqlite-apgd", "postgresql-autoattack"],
)
def test_a_job_that_was_killed_goes_on_and_stores_what_the_command_stores_bit_for_bit(
    studio, words
):
    run_id = train(studio, 2)
    job = queue(studio, run_id, *words)
    worker = studio.start_worker()
    studio.wait_for(lambda: stored_parts(studio.database, job) > 0, "some stored batches")
    kill(worker)
    assert names(studio, run_id) == {FINAL}
    studio.start_worker()
    done = studio.wait_for_status(job, "succeeded")
    assert (done.attempt, stored_parts(studio.database, job)) == (2, 0)
    with studio.database.read() as session:
        told = [event.message or "" for event in queries.events(session, job)]
    assert any(line.startswith("Interrupted at image ") for line in told)
    log = (studio.folder / "runs" / job / "log.txt").read_text().split("Attempt 2")
    assert "INFO 0 batches are stored already" in log[0]
    assert "INFO 0 batches are stored already" not in log[1]
    assert "batches are stored already" in log[1]
    by_job = stored_evaluations(studio.database, run_id)
    assert studio.caat("evaluate", run_id, *words).returncode == 0
    assert stored_evaluations(studio.database, run_id) == by_job
    assert len(by_job) == 2


def test_a_curve_and_masking_checks_of_a_job_are_those_of_the_command(sqlite_studio):
    studio = sqlite_studio
    run_id = train(studio, batch_size=100)
    words = ("--subset", "20", "--curve", "--masking", "--protocol", "as-released")
    job = queue(studio, run_id, *words)
    studio.start_worker()
    assert studio.wait_for_status(job, "succeeded").message.startswith("Stored with run")
    by_job = stored_evaluations(studio.database, run_id)
    assert studio.caat("evaluate", run_id, *words).returncode == 0
    assert stored_evaluations(studio.database, run_id) == by_job
    assert len(by_job) == 5


def test_a_stopped_job_keeps_what_it_found_and_goes_on_after_resume(studio):
    run_id = train(studio)
    job = queue(studio, run_id, *LONG, "--curve")
    studio.start_worker()
    studio.wait_for(lambda: stored_parts(studio.database, job) > 0, "some stored batches")
    told = json.loads(studio.caat("status", job, "--json").stdout)
    assert (told["kind"], told["subject_id"], told["num_steps"]) == ("evaluation", run_id, 700)
    assert 0 < told["progress"] < 1
    assert "Stopping" in studio.caat("stop", job).stdout
    assert studio.wait_for_status(job, "cancelled").message == "Stopped"
    assert stored_parts(studio.database, job) > 0
    assert names(studio, run_id) == {FINAL}
    assert studio.caat("resume", job).returncode == 0
    studio.wait_for_status(job, "succeeded")
    assert len(names(studio, run_id)) == 3


def test_two_jobs_of_one_run_are_done_side_by_side_by_two_workers(studio):
    run_id = train(studio)
    jobs = [queue(studio, run_id, *LONG, "--curve", "--seed", seed) for seed in ("0", "1")]
    for _ in jobs:
        studio.start_worker()

    def both_at_work() -> bool:
        return all(studio.run(job).status is RunStatus.RUNNING for job in jobs)

    studio.wait_for(both_at_work, "both at work")
    for job in jobs:
        studio.wait_for_status(job, "succeeded")
    assert len(names(studio, run_id)) == 5


def test_a_run_goes_with_its_jobs_and_not_while_one_is_active(studio):
    run_id = train(studio)
    first, second = (queue(studio, run_id, "--subset", "20", "--seed", s) for s in "01")
    refused = studio.caat("delete", run_id)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "Stop it first: its evaluation" in refused.stderr
    assert "is queued" in refused.stderr
    assert studio.run(run_id).status is RunStatus.SUCCEEDED
    studio.caat("stop", second)
    studio.start_worker()
    studio.wait_for_status(first, "succeeded")
    gone = studio.caat("delete", run_id)
    assert gone.stdout.startswith("Deleted"), gone.stderr
    with studio.database.read() as session:
        assert session.execute(select(func.count()).select_from(Run)).scalar_one() == 0
    assert not list((studio.folder / "runs").iterdir())


def test_a_job_whose_run_was_resumed_ends_with_one_line(sqlite_studio):
    studio = sqlite_studio
    run_id = train(studio, 2)
    job = queue(studio, run_id, *LONG, "--curve")
    studio.start_worker()
    studio.wait_for(lambda: stored_parts(studio.database, job) > 0, "some stored batches")
    with studio.database.write() as session:  # as a resumed run that another worker has
        session.execute(update(Run).where(Run.id == run_id).values(status="running", attempt=2))
    failed = studio.wait_for_status(job, "failed")
    assert failed.reason == "input"
    assert failed.message == (f"RUN: {run_id} was resumed or deleted meanwhile; nothing is stored")
    assert names(studio, run_id) == {FINAL}


def test_an_export_of_a_job_is_the_commands_and_its_place_is_told(sqlite_studio):
    studio = sqlite_studio
    run_id = train(studio)
    done = studio.caat("export", run_id, "--what", "samples", "--queue", "--json")
    job = json.loads(done.stdout)["run_id"]
    studio.start_worker()
    studio.wait_for_status(job, "succeeded")
    told = json.loads(studio.caat("status", job, "--json").stdout)["message"]
    rows, place = told.split(" rows in ")
    assert rows == "200"
    own = studio.folder / "own.parquet"
    assert studio.caat("export", run_id, "--what", "samples", "--out", str(own)).returncode == 0
    assert own.read_bytes() == (studio.folder / "runs" / job / place.split("/")[-1]).read_bytes()


REFUSED = {
    ("--subset", "101"): "subset: 101 is not valid; the set has 100 images",
    ("--subset", "9"): "subset: 9 is not valid, it leaves a class without an image",
    ("--attack", "magic"): "--attack: 'magic' is unknown",
    ("--epsilon", "2"): "2 is not valid",
    ("--norm", "l2"): "--norm: l2 is not the run's norm",
    ("--attack", "apgd", "--steps", "5"): "--steps: unknown key",
    ("--epsilon", "0", "--curve"): "--curve: it needs a radius",
}


def test_a_job_that_cannot_work_is_refused_in_one_line_before_it_is_queued(
    sqlite_studio, caat_here
):
    run_id = train(sqlite_studio)
    for words, line in REFUSED.items():
        code, told = caat_here("evaluate", run_id, *words, "--queue")
        assert (code, told.count("\n")) == (2, 1), words
        assert line in told
    with sqlite_studio.database.read() as session:
        assert queries.list_jobs(session) == []


def test_a_run_that_no_job_can_be_about_says_why(sqlite_studio, caat_here):
    studio = sqlite_studio
    run_id = train(studio)
    job = queue(studio, run_id)
    assert queue(studio, run_id) == job  # it is asked for already
    waiting = studio.launch()
    code, told = caat_here("evaluate", waiting, "--queue")
    assert (code, told.count("\n")) == (2, 1)
    assert "is queued; wait until it has ended, or stop it" in told
    studio.caat("stop", waiting)
    code, told = caat_here("evaluate", waiting, "--queue")
    assert "it has no checkpoint yet: train at least one epoch" in told
    studio.caat("stop", job)
    for command in (["evaluate", job], ["evaluate", job, "--queue"]):
        code, told = caat_here(*command)
        assert (code, told.count("\n")) == (2, 1)
        assert f"is an evaluation; give the run that it is about, {run_id}" in told
    code, told = caat_here("export", run_id, "--what", "report", "--queue")
    assert (code, told.count("\n")) == (2, 1)
    for file in studio.folder.rglob("*.safetensors"):
        file.unlink()
    code, told = caat_here("evaluate", run_id, "--queue")
    assert told.endswith("Epoch 1 checkpoint missing: no checkpoint can be used\n")


def test_what_shows_trained_runs_shows_no_job(studio):
    run_id = train(studio)
    job = queue(studio, run_id, "--subset", "20")
    with studio.database.read() as session:
        assert [row.id for row in queries.list_runs(session)] == [run_id]
        assert [row.id for row in queries.list_jobs(session, run_id)] == [job]
        assert queries.run_count(session) == 1
        overview = listing.overview(session)
        assert (overview.counts, overview.newest_result.id) == ({"succeeded": 1}, run_id)
        found, in_all = listing.runs(session, listing.RunFilter(), 0, number=10)
        assert ([row.id for row in found], in_all) == ([run_id], 1)
        assert queries.queue_length(session) == 1
        assert queries.runs_with_status(session, RunStatus.QUEUED) == [job]
    studio.start_worker()
    studio.wait_for_status(job, "succeeded")
    with studio.database.read() as session:
        assert [row.id for row in finished_runs(session)] == [run_id]
        assert listing.overview(session).newest_result.id == run_id
    told = json.loads(studio.caat("status", "--json").stdout)
    assert [row["run_id"] for row in told["runs"]] == [run_id]
    assert [row["run_id"] for row in told["jobs"]] == [job]
