"""A trainer that waits with everything loaded, and becomes that of one run."""

import psutil
import pytest

from db.models import RunStatus
from db.reads import queries
from db.reads.series import metrics
from tests.real.studio import Studio


def waiting(studio: Studio) -> list[psutil.Process]:
    """Return the processes of an installation that wait for a run with everything loaded."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "--warm" in words and "orphan" not in " ".join(words):
            try:
                if process.environ().get("CAAT_DATA_DIR") == str(studio.folder):
                    found.append(process)
            except psutil.Error:
                continue
    return found


def has_loaded(process: psutil.Process) -> bool:
    try:
        return any("libtorch_cpu" in place.path for place in process.memory_maps())
    except psutil.Error:
        return False


def wait_for_spare(studio: Studio) -> psutil.Process:
    studio.wait_for(lambda: any(map(has_loaded, waiting(studio))), "a spare that has loaded")
    (process,) = waiting(studio)
    studio.wait_for(lambda: process.status() == psutil.STATUS_SLEEPING, "the spare to wait")
    return process


@pytest.fixture
def warm(sqlite_studio: Studio) -> Studio:
    sqlite_studio.environment["CAAT_WARM_MINUTES"] = "30"
    sqlite_studio.start_broker()
    return sqlite_studio


def numbers(studio: Studio, run_id: str) -> object:
    with studio.database.read() as session:
        told = metrics(session, run_id)
        return told.to_dict("list"), queries.final_metrics(session, run_id)


def test_a_run_in_a_spare_gives_the_numbers_of_one_in_a_process_of_its_own(warm):
    cold = warm.queue()
    worker = warm.start_worker()
    warm.wait_for_status(cold, "succeeded")
    spare = wait_for_spare(warm)
    run_id = warm.launch()
    warm.wait_for_status(run_id, "succeeded")
    assert numbers(warm, run_id) == numbers(warm, cold)
    assert "Attempt 1 on cpu" in (warm.folder / "runs" / run_id / "log.txt").read_text()
    # It was the trainer of one run, and of no other.
    warm.wait_for(lambda: not psutil.pid_exists(spare.pid), "the end of that process")
    other = wait_for_spare(warm)
    assert worker.pid in [process.pid for process in other.parents()]


def test_stop_and_kill_reach_a_run_in_a_spare_as_any_other(warm):
    worker = warm.start_worker()
    wait_for_spare(warm)
    run_id = warm.launch("training.epochs=400")
    warm.wait_for_epoch(run_id, 1)
    assert warm.trainers(run_id) == []  # it is none that was started for this run
    assert warm.caat("stop", run_id).returncode == 0
    warm.wait_for_status(run_id, "cancelled")
    wait_for_spare(warm)
    run_id = warm.launch("training.epochs=400")
    warm.wait_for_epoch(run_id, 1)
    worker.kill()
    worker.wait()
    warm.wait_for(lambda: warm.left_behind() == [], "everything of the worker to go")
    warm.start_worker()
    warm.wait_for(lambda: warm.run(run_id).attempt == 2, "a second attempt")
    assert warm.run(run_id).status in (RunStatus.QUEUED, RunStatus.RUNNING)


def test_a_spare_that_was_killed_costs_no_attempt(warm):
    warm.start_worker()
    wait_for_spare(warm).kill()
    run_id = warm.launch()
    done = warm.wait_for_status(run_id, "succeeded")
    assert (done.attempt, done.infra_attempts) == (1, 0)


def test_a_spare_ends_with_its_time_and_a_drained_worker_takes_it_along(warm):
    warm.environment["CAAT_WARM_MINUTES"] = "0.001"
    worker = warm.start_worker()
    warm.wait_for(lambda: bool(waiting(warm)), "a spare")
    first = waiting(warm)[0]
    warm.wait_for(lambda: not first.is_running(), "the end of its time")
    worker.terminate()
    assert worker.wait() == 0
    warm.wait_for(lambda: waiting(warm) == [], "no spare")


def test_without_the_setting_there_is_none(sqlite_studio):
    sqlite_studio.start_worker()
    run_id = sqlite_studio.queue()
    sqlite_studio.wait_for_status(run_id, "succeeded")
    assert waiting(sqlite_studio) == []
