"""Progress survives checkpoints that are damaged or elsewhere; what is said of files is true."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scenario.toml_in import read_scenario
from db.reads import queries
from db.reads.rows import CheckpointRow
from tasks import commands
from tasks.queue.submit import submit
from tasks.recording import checkpoints
from tasks.settings import open_database, settings
from tasks.worker import reconcile
from tasks.worker.supervise import run_attempt

EPOCHS = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 3)), unique_by=lambda pair: pair[0], max_size=6
)


on_sqlite = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)


@pytest.fixture
def other_host(tmp_path, monkeypatch):
    """Makes this process one of a host that shares the database and none of the files."""

    def go() -> Path:
        monkeypatch.setenv("CAAT_DATA_DIR", str(tmp_path / "other"))
        settings.cache_clear()
        return settings().data_dir

    return go


def row(epoch: int, attempt: int) -> CheckpointRow:
    return CheckpointRow(epoch, attempt, f"runs/r/e{epoch}", 1, "0" * 64, None)


@given(EPOCHS, st.integers(0, 30))
def test_what_the_living_attempt_wrote_last_is_always_kept(known, start):
    rows = [row(epoch, attempt) for epoch, attempt in sorted(known, reverse=True)]
    for keep in (1, 2):
        kept = checkpoints.kept(rows, 3, start, keep=keep)
        written = [item for item in rows if item.attempt == 3]
        usable = [item for item in rows if item.attempt == 3 or item.epoch <= start]
        if written and written[0].epoch > start:  # an attempt goes on from its start
            assert written[0] in kept
        assert set(usable[:keep]) <= set(kept)
        assert len([item for item in kept if item in usable]) <= keep


@on_sqlite
def test_a_run_whose_checkpoints_are_all_damaged_gets_on_through_the_next_kill(studio):
    run_id = submit(read_scenario(studio.scenario, ["training.epochs=6"]), actor="tester").run_id
    run_attempt_until(studio, run_id, epochs=4)
    for path in (studio.folder / "runs" / run_id).glob("e*.safetensors"):
        path.write_bytes(b"damaged")
    resume(run_id)
    run_attempt_until(studio, run_id, epochs=2)  # fewer than the damaged ones
    resume(run_id)
    assert run_attempt(open_database(), run_id)
    run = studio.run(run_id)
    assert (run.status, run.epoch) == ("succeeded", 6)
    told = remarks(studio, run_id)
    assert told == [
        (2, "damaged", "Epoch 4 checkpoint damaged, started again"),
        (2, "damaged", "Epoch 3 checkpoint damaged, started again"),
        (3, "damaged", "Epoch 4 checkpoint damaged, resumed from 2"),
        (3, "damaged", "Epoch 3 checkpoint damaged, resumed from 2"),
    ]


@on_sqlite
def test_a_checkpoint_of_another_host_is_said_to_be_there_and_kept_for_it(studio, other_host):
    run_id = submit(read_scenario(studio.scenario, ["training.epochs=6"]), actor="tester").run_id
    run_attempt_until(studio, run_id, epochs=4)
    host = studio.run(run_id).attempts[0].host
    resume(run_id)
    other_host()
    run_attempt_until(studio, run_id, epochs=2)
    resume(run_id)
    assert remarks(studio, run_id)[0] == (
        *(2, "elsewhere"),
        f"Epoch 4 checkpoint is not on this host but on {host}, started again",
    )
    settings.cache_clear()
    with pytest.MonkeyPatch.context() as back:
        back.setenv("CAAT_DATA_DIR", str(studio.folder))
        settings.cache_clear()
        assert run_attempt(open_database(), run_id)
    assert studio.run(run_id).status == "succeeded"
    assert studio.run(run_id).attempts[2].epoch == 6
    assert not [told for told in remarks(studio, run_id) if told[0] == 3]  # 4 was whole there


@on_sqlite
def test_from_a_host_without_the_files_nothing_is_claimed_of_them(studio, other_host, tmp_path):
    done = studio.caat("run", str(studio.scenario), "--json")
    run_id = json.loads(done.stdout)["run_id"]
    there = studio.folder / "runs" / run_id
    assert any(there.glob("e*"))
    studio.environment["CAAT_DATA_DIR"] = str(tmp_path / "far")
    out = str(tmp_path / "model.safetensors")
    for words in (("export", run_id, "--what", "model", "--out", out), ("evaluate", run_id)):
        told = studio.caat(*words)
        assert told.returncode == 2
        (line,) = told.stderr.strip().splitlines()
        assert "not on this host but on" in line
        assert str(studio.folder) in line
        assert "damaged" not in line
    going = studio.caat("delete", run_id).stdout
    assert going.startswith("Going; its files on ")
    assert str(studio.folder) in going
    assert any(there.glob("e*"))
    assert studio.run(run_id).status == "deleting"
    other_host()
    reconcile.sweep(open_database())  # of a worker that has none of the files
    assert studio.run(run_id).status == "deleting"
    with pytest.MonkeyPatch.context() as back:
        back.setenv("CAAT_DATA_DIR", str(studio.folder))
        settings.cache_clear()
        reconcile.sweep(open_database())
    assert not there.exists()
    with studio.database.read() as session:
        assert queries.get_run(session, run_id) is None


@on_sqlite
def test_a_run_of_a_host_that_never_comes_back_is_forgotten_without_its_files(studio, other_host):
    run_id = submit(read_scenario(studio.scenario, ["training.epochs=1"]), actor="tester").run_id
    assert run_attempt(open_database(), run_id)
    there = studio.folder / "runs" / run_id
    other_host()
    told = commands.delete(run_id, "tester", leave_files=True)
    assert told.startswith("Deleted; its files stay on ")
    assert there.exists()
    with studio.database.read() as session:
        assert queries.get_run(session, run_id) is None
    shutil.rmtree(there)


def run_attempt_until(studio, run_id: str, epochs: int) -> None:
    """Train here until so many epochs are recorded; then the trainer is killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", _stopping(studio.folder, epochs))
        assert run_attempt(open_database(), run_id)
    assert studio.run(run_id).status == "interrupted"


def _stopping(folder: Path, epochs: int) -> str:
    """A path whose sitecustomize kills a trainer once it has recorded so many epochs."""
    place = folder / f"stops-after-{epochs}"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'tasks.trainer' in getattr(sys, 'orig_argv', []):\n"
        "    import os, signal\n"
        "    from tasks.recording import recorder\n"
        "    real = recorder.Recorder.on_epoch\n"
        "    def on_epoch(self, report):\n"
        "        real(self, report)\n"
        f"        if report.epoch == {epochs}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    recorder.Recorder.on_epoch = on_epoch\n"
    )
    return f"{place}:{Path.cwd()}"


def resume(run_id: str) -> None:
    assert commands.resume(run_id, "tester").startswith("Queued")


def remarks(studio, run_id: str) -> list[tuple[int, str, str]]:
    with studio.database.read() as session:
        events = queries.events(session, run_id)
    return [(e.attempt, e.reason, e.message) for e in events if e.from_status == e.to_status]
