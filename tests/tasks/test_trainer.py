"""What a trainer records, how it ends, and whose fault it says it was."""

import signal
import sys

import numpy as np
import pytest
import torch
from sqlalchemy import select

from db.errors import DatabaseUnreachableError
from db.models import USER, Attempt
from db.reads import queries, series
from db.writes import transitions
from engine.data.datasets.base import datasets
from engine.errors import Diverged, Stopped, UserError
from engine.evaluation.evaluate import Evaluation
from engine.scenario import Scenario
from engine.training.observer import EpochReport, Progress
from tasks import trainer
from tasks.processes.host import identity
from tasks.recording.lacking import LackingError
from tasks.recording.recorder import Recorder, ReplacedError, class_evaluation_rows

ERRORS = Evaluation(np.array([4, 0, 5]), np.array([1, 0, 2]), np.array([2, 0, 1]))


def recorder(studio, run_id: str) -> Recorder:
    """Begin the next attempt of a run here."""
    with studio.database.write() as session:
        number = transitions.claim(session, run_id, identity(), lease_seconds=600)
    return Recorder(
        studio.database, run_id, number, scenario_digest="digest", should_stop=lambda: False
    )


def end(studio, recording: Recorder) -> None:
    """End an attempt half way, and queue its run again."""
    run_id, number = recording.run_id, recording.attempt
    with studio.database.write() as session:
        assert transitions.interrupt(session, run_id, number, reason="lost", message=None)
        assert transitions.requeue(session, run_id, "tester", reason=USER)


def epoch(number: int, loss: float) -> EpochReport:
    state = {"model.weight": torch.ones(2)}
    return EpochReport(number, 7 * number, {"loss": loss}, ERRORS, {}, [], None, state)


def test_the_errors_of_a_class_are_shares_of_its_own_images_and_none_of_no_image():
    rows = class_evaluation_rows("test", ERRORS, 3)
    found = {(row.name, row.class_index): (row.epoch, row.value, row.n) for row in rows}
    assert found == {
        ("natural_error", 0): (3, 0.25, 4),
        ("natural_error", 1): (3, None, 0),
        ("natural_error", 2): (3, 0.4, 5),
        ("boundary_error", 0): (3, 0.5, 4),
        ("boundary_error", 1): (3, None, 0),
        ("boundary_error", 2): (3, 0.2, 5),
        ("robust_error", 0): (3, 0.75, 4),
        ("robust_error", 1): (3, None, 0),
        ("robust_error", 2): (3, 0.6, 5),
    }


def test_an_epoch_done_again_with_other_numbers_is_told_once_and_with_the_same_never(
    sqlite_studio, caat_here
):
    run_id = sqlite_studio.queue()

    def alarms() -> list[str]:
        with sqlite_studio.database.read() as session:
            found = queries.events(session, run_id)
        return [event.message for event in found if event.reason == "determinism"]

    for _ in range(2):
        same = recorder(sqlite_studio, run_id)
        same.on_epoch(epoch(1, 0.5))
        same.on_epoch(epoch(2, 0.25))
        end(sqlite_studio, same)
    assert alarms() == []
    other = recorder(sqlite_studio, run_id)
    other.on_epoch(epoch(1, 0.75))
    other.on_epoch(epoch(2, 0.75))
    assert alarms() == ["Epoch 1 was done again and differs in loss"]


def test_every_batch_loss_is_recorded_however_fast_the_steps_follow(sqlite_studio, caat_here):
    run_id = sqlite_studio.queue()
    recording = recorder(sqlite_studio, run_id)
    for step, loss in ((1, 0.5), (2, 0.25), (3, None), (4, 0.125)):
        recording.on_progress(Progress("training", 2, step, 10, loss))
    recording.on_progress(Progress("validating", 2, 10, 10))
    with sqlite_studio.database.read() as session:
        found = series.metrics(session, run_id)
    assert list(zip(found["name"], found["step"], found["value"], strict=True)) == [
        ("batch_loss", 11, 0.5),
        ("batch_loss", 12, 0.25),
        ("batch_loss", 14, 0.125),
    ]


@pytest.mark.parametrize(
    "words", [[], ["r", "1", "cpu"], ["r", "1", "cpu", "2", "x"], ["r", "one", "cpu", "2"]]
)
def test_a_trainer_that_no_worker_starts_says_so_in_one_line(
    words, no_settings_from_outside, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["trainer", *words])
    monkeypatch.setattr(trainer, "main", lambda: 0)
    assert trainer._checked_main() == 2
    line = capsys.readouterr().err
    assert line.startswith("caat: a worker starts it: ")
    assert line.count("\n") == 1


def test_a_dataset_that_is_missing_where_it_trains_is_named(no_settings_from_outside, monkeypatch):
    def offline(self: object, folder: object) -> None:
        raise UserError("not on this machine")

    monkeypatch.setattr(type(datasets()["fashion-mnist"]), "ensure", offline)
    scenario = Scenario.model_validate({"data": {"dataset": "fashion-mnist"}})
    with pytest.raises(UserError) as told:
        trainer._require_its_data(scenario, "0" * 64)
    assert str(told.value) == "Dataset fashion-mnist is missing: not on this machine"


@pytest.mark.parametrize(
    ("error", "code", "end"),
    [
        pytest.param(
            DatabaseUnreachableError("away"), 1, ("running", None, None), id="no database"
        ),
        pytest.param(ReplacedError("attempt 2"), 0, ("running", None, None), id="replaced"),
        pytest.param(Stopped(), trainer.EXIT_STOPPED, ("running", None, None), id="stopped"),
        pytest.param(Diverged("NaN"), 0, ("failed", "diverged", "NaN"), id="diverged"),
        pytest.param(
            LackingError("no method"), 0, ("interrupted", "lacks", "no method"), id="lacking"
        ),
        pytest.param(UserError("no such GPU"), 0, ("failed", "input", "no such GPU"), id="input"),
        pytest.param(
            ValueError("too long\nby two"),
            1,
            ("failed", "error", "ValueError: too long"),
            id="error",
        ),
    ],
)
def test_a_trainer_ends_its_run_only_where_the_run_itself_is_at_fault(
    error, code, end, sqlite_studio, caat_here, monkeypatch
):
    """Of any other end its supervisor says what it was."""

    def train(*_args, **_knobs):
        raise error

    run_id = sqlite_studio.queue()
    with sqlite_studio.database.write() as session:
        number = transitions.claim(session, run_id, identity(), lease_seconds=30)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setattr(sys, "argv", ["trainer", run_id, str(number), "cpu", "0"])
    monkeypatch.setattr(trainer, "die_with_parent", lambda parent: None)
    monkeypatch.setattr(trainer.signal, "signal", lambda *_: None)
    monkeypatch.setattr(trainer, "train", train)
    assert trainer.main() == code
    run = sqlite_studio.run(run_id)
    assert (run.status, run.reason, run.message) == end


SLOW_LOADING = """
import os, sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "torch._dynamo" and "tasks.trainer" in getattr(sys, "orig_argv", []):
            open(os.path.join(os.environ["CAAT_DATA_DIR"], "loading"), "w").close()
            time.sleep(600)
sys.meta_path.insert(0, Slow())
"""


def test_before_its_first_step_a_trainer_that_is_told_to_stop_leaves_at_once(
    sqlite_studio, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text(SLOW_LOADING)
    sqlite_studio.environment["PYTHONPATH"] = str(tmp_path)
    run_id = sqlite_studio.queue()
    worker = sqlite_studio.start_worker()
    sqlite_studio.wait_for((sqlite_studio.folder / "loading").exists, "its loading")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0  # loading would take ten minutes, its kill ten times as long
    run = sqlite_studio.run(run_id)
    assert (run.status, run.attempts[0].outcome) in [("interrupted", "drain"), ("queued", "drain")]
    assert not sqlite_studio.trainers(run_id)


def test_where_a_run_is_is_written_twice_a_second_and_at_once_in_a_new_phase(
    sqlite_studio, caat_here, monkeypatch
):
    run_id, clock = sqlite_studio.queue(), [100.0]
    monkeypatch.setattr("tasks.recording.recorder.time.monotonic", lambda: clock[0])
    recording, written = recorder(sqlite_studio, run_id), []
    for seconds, phase in ((0, "training"), (0.3, "training"), (0.3, "training"), (0, "testing")):
        clock[0] += seconds
        recording.on_progress(Progress(phase, 1, len(written) + 1, 10, None))
        with sqlite_studio.database.read() as session:
            step = select(Attempt.step).where(Attempt.run_id == run_id)
            written.append(session.execute(step).scalar_one())
    assert written == [1, 1, 3, 4]
