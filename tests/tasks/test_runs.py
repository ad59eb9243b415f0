"""A run from launch to end, with a real broker, a real worker and a real trainer process."""

import signal
from pathlib import Path

from db.reads import queries
from tasks.recording import checkpoints


def _run_ids(studio) -> list[str]:
    with studio.database.read() as session:
        return [run.id for run in queries.list_runs(session)]


def test_a_killed_run_says_so_and_then_goes_on(sqlite_studio):
    sqlite_studio.start_broker()
    worker = sqlite_studio.start_worker()
    run_id = sqlite_studio.launch("training.epochs=500")
    sqlite_studio.wait_for_epoch(run_id, 1)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    sqlite_studio.start_worker()
    sqlite_studio.wait_for(lambda: len(sqlite_studio.run(run_id).attempts) == 2, "attempt 2")
    with sqlite_studio.database.read() as session:
        events = queries.events(session, run_id)
    lost = next(event for event in events if event.to_status == "interrupted")
    assert lost.reason == "lost"
    assert lost.message.startswith("Interrupted at epoch ")


def test_a_worker_that_is_told_to_end_hands_its_run_on(postgresql_studio):
    postgresql_studio.start_broker()
    worker = postgresql_studio.start_worker()
    run_id = postgresql_studio.launch("training.epochs=500")
    postgresql_studio.wait_for_epoch(run_id, 1)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    run = postgresql_studio.run(run_id)
    assert (run.status, run.attempts[0].outcome) in [("interrupted", "drain"), ("queued", "drain")]
    assert not postgresql_studio.trainers(run_id)
    with postgresql_studio.database.read() as session:
        assert [worker.state for worker in queries.workers(session)] == ["stopped"]
    epoch = run.epoch
    postgresql_studio.start_worker()
    postgresql_studio.wait_for_epoch(run_id, epoch + 1)


def test_a_running_run_stops_and_keeps_what_it_recorded_and_resumes(sqlite_studio):
    sqlite_studio.start_broker()
    sqlite_studio.start_worker()
    run_id = sqlite_studio.launch("training.epochs=500")
    sqlite_studio.wait_for_epoch(run_id, 2)
    assert "Stopping" in sqlite_studio.caat("stop", run_id[:8]).stdout
    run = sqlite_studio.wait_for_status(run_id, "cancelled")
    assert run.epoch >= 2
    assert not sqlite_studio.trainers(run_id)
    assert "Already finished: the run is cancelled" in sqlite_studio.caat("stop", run_id).stdout
    assert "Queued again" in sqlite_studio.caat("resume", run_id).stdout
    sqlite_studio.wait_for_epoch(run_id, run.epoch + 1)


def test_a_run_stopped_before_it_started_never_trains(sqlite_studio):
    sqlite_studio.start_broker()
    run_id = sqlite_studio.launch()
    assert "Cancelled" in sqlite_studio.caat("stop", run_id).stdout
    sqlite_studio.start_worker()
    later = sqlite_studio.launch()
    sqlite_studio.wait_for_status(later, "succeeded")
    run = sqlite_studio.run(run_id)
    assert (run.status, run.attempt, run.attempts) == ("cancelled", 0, [])


def test_a_run_launched_without_a_broker_starts_once_there_is_one(sqlite_studio):
    done = sqlite_studio.caat("launch", str(sqlite_studio.scenario))
    assert done.returncode == 0
    assert "Queued \u2013 broker unreachable, will start by itself" in done.stderr
    sqlite_studio.start_broker()
    sqlite_studio.start_worker()
    run = sqlite_studio.wait_for_status(done.stdout.strip(), "succeeded")
    assert run.attempt == 1


def test_a_run_that_diverges_says_where_keeps_its_last_good_epoch_and_is_not_tried_again(
    sqlite_studio,
):
    later = ["training.lr=10", "training.momentum=0.99", "training.warmup_epochs=30"]
    changes = [*later, "training.epochs=40", "method.name=trades"]
    sets = [word for change in changes for word in ("--set", change)]
    done = sqlite_studio.caat("run", str(sqlite_studio.scenario), *sets)
    assert done.returncode == 1
    (run_id,) = _run_ids(sqlite_studio)
    run = sqlite_studio.run(run_id)
    assert (run.status, run.reason, run.attempt) == ("failed", "diverged", 1)
    assert run.message.startswith(f"Diverged at epoch {run.epoch + 1}, step ")
    assert "Traceback" not in done.stderr
    with sqlite_studio.database.read() as session:
        kept = queries.checkpoints(session, run_id)
    epoch, state = checkpoints.newest_good(sqlite_studio.folder, kept)
    assert epoch == run.epoch > 0
    assert all(value.isfinite().all() for value in state.values())


def test_a_run_whose_trainer_always_dies_is_given_up(sqlite_studio, tmp_path: Path):
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import os, sys\nif 'tasks.trainer' in getattr(sys, 'orig_argv', []): os._exit(139)\n"
    )
    sqlite_studio.environment["PYTHONPATH"] = str(tmp_path)
    sqlite_studio.start_broker()
    sqlite_studio.start_worker()
    run_id = sqlite_studio.launch()
    run = sqlite_studio.wait_for_status(run_id, "failed")
    assert run.reason == "lost_too_often"
    assert run.attempt == 3
    assert run.message == "Failed 3 times at start; not retried"
