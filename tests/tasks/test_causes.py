"""Why a run was interrupted, what it says of that, and how often it is tried again by itself."""

import errno
import shutil
import signal
import time
from collections import namedtuple
from pathlib import Path

import psutil
import pytest
import torch

from app.scenario.toml_in import read_scenario
from db.errors import DatabaseFullError
from db.models import RunStatus
from db.reads import queries
from db.writes import interruption, transitions
from db.writes.interruption import Interrupted
from db.writes.records import write_checkpoint
from db.writes.transitions import NewRun
from tasks.processes import memory
from tasks.processes.host import identity
from tasks.queue.submit import submit
from tasks.recording import causes, checkpoints
from tasks.settings import open_database, settings
from tasks.worker import reconcile, supervise
from tasks.worker.supervise import run_attempt

TRAINER = "import os, sys\nif 'tasks.trainer' in getattr(sys, 'orig_argv', []):\n"


def breaking(folder: Path, *lines: str) -> Path:
    """A folder that breaks every trainer process that has it on its path."""
    text = TRAINER + "".join(f"    {line}\n" for line in lines)
    (folder / "sitecustomize.py").write_text(text)
    return folder


@pytest.fixture
def here(caat_here, sqlite_studio, monkeypatch, tmp_path):
    """Runs a queued run in this process; its trainer is broken by some lines of Python."""

    def attempt(run_id: str, *lines: str) -> str:
        monkeypatch.setenv("PYTHONPATH", f"{breaking(tmp_path, *lines)}:{Path.cwd()}")
        assert run_attempt(open_database(), run_id)
        return run_id

    monkeypatch.chdir(Path(__file__).parents[2])
    return attempt


@pytest.fixture
def launch(here, sqlite_studio):
    """Queues the tiny scenario, changed."""
    return lambda *changes: (
        submit(read_scenario(sqlite_studio.scenario, list(changes)), actor="tester").run_id
    )


def sweep_after_a_pause(studio) -> None:
    settings().retry_after_seconds = 0
    time.sleep(0.05)
    reconcile.sweep(studio.database)


def test_a_full_disk_keeps_the_old_checkpoint_names_it_and_waits_for_a_person(
    here, launch, sqlite_studio
):
    run_id = launch("training.epochs=4")
    here(
        run_id,
        "import errno, builtins",
        "real, seen = os.fsync, []",
        "def full(handle):",
        "    seen.append(handle)",
        "    if len(seen) > 4: raise OSError(errno.ENOSPC, 'No space left on device')",
        "    return real(handle)",
        "os.fsync = full",
    )
    run = sqlite_studio.run(run_id)
    assert (run.status, run.reason, run.epoch) == ("interrupted", "disk_full", 2)
    assert run.message == (
        "Stopped: disk full. Last good checkpoint: epoch 2. Free 1 MB and press Resume"
    )
    folder = sqlite_studio.folder / "runs" / run_id
    assert not list(folder.glob("*.tmp"))
    with sqlite_studio.database.read() as session:
        rows = queries.checkpoints(session, run_id)
    assert [row.epoch for row in rows] == [2]  # the older one made room, in vain
    assert checkpoints.newest_good(sqlite_studio.folder, rows) is not None
    sweep_after_a_pause(sqlite_studio)
    assert sqlite_studio.run(run_id).status == "interrupted"
    with sqlite_studio.database.write() as session:
        assert transitions.requeue(session, run_id, "tester", reason=transitions.USER)
    here(run_id)
    assert sqlite_studio.run(run_id).status == "succeeded"


def test_a_disk_that_is_full_for_a_moment_costs_an_old_checkpoint_and_nothing_else(
    here, launch, sqlite_studio
):
    run_id = launch("training.epochs=4")
    here(
        run_id,
        "import errno",
        "real, seen = os.fsync, []",
        "def full(handle):",
        "    seen.append(handle)",
        "    if len(seen) == 5: raise OSError(errno.ENOSPC, 'No space left on device')",
        "    return real(handle)",
        "os.fsync = full",
    )
    assert sqlite_studio.run(run_id).status == "succeeded"


def test_the_room_that_is_asked_for_is_what_is_missing(monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 20 * 10**6))
    told = causes.disk_full(tmp_path, 11, needed=250 * 10**6)
    assert (
        told == "Stopped: disk full. Last good checkpoint: epoch 11. Free 240 MB and press Resume"
    )
    assert "No checkpoint was written yet." in causes.disk_full(tmp_path, None, needed=0)


def test_a_trainer_killed_for_memory_is_tried_once_more_and_then_waits(
    here, launch, sqlite_studio, monkeypatch
):
    counts = iter(range(100))
    monkeypatch.setattr(memory, "oom_kills", lambda: next(counts))  # one more at every look
    run_id = launch()
    for expected in ("queued", "interrupted"):
        here(run_id, "import signal; os.kill(os.getpid(), signal.SIGKILL)")
        run = sqlite_studio.run(run_id)
        assert (run.status, run.reason) == ("interrupted", "oom")
        assert run.message == "Out of memory (killed by the system). Try batch size \u2264 16"
        sweep_after_a_pause(sqlite_studio)
        assert sqlite_studio.run(run_id).status == expected


def test_a_killed_trainer_is_lost_where_the_system_killed_nobody_for_memory(
    here, launch, sqlite_studio, monkeypatch
):
    monkeypatch.setattr(memory, "oom_kills", lambda: 3)
    run_id = launch()
    told = []
    for _ in range(3):
        here(run_id, "import signal; os.kill(os.getpid(), signal.SIGKILL)")
        told.append(sqlite_studio.run(run_id).message)
        sweep_after_a_pause(sqlite_studio)
    what = f"the trainer ended with signal {int(signal.SIGKILL)}"
    assert told == [
        f"Interrupted at epoch 1 \u2013 resuming (attempt 2): {what}",
        f"Interrupted at epoch 1 \u2013 resuming (attempt 3): {what}",
        f"Interrupted at epoch 1: {what}",
    ]
    run = sqlite_studio.run(run_id)
    assert (run.status, run.reason) == ("failed", "lost_too_often")
    assert run.message == "Failed 3 times at start; not retried"


def test_a_trainer_that_runs_out_of_memory_itself_says_what_needs_less(here, launch, sqlite_studio):
    run_id = launch()
    here(run_id, "def none(handle): raise MemoryError", "os.fsync = none")
    run = sqlite_studio.run(run_id)
    assert (run.status, run.reason) == ("interrupted", "oom")
    assert run.message == "Out of memory (no more could be had). Try batch size \u2264 16"


def test_what_means_that_memory_ran_out_or_that_the_disk_is_full():
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory")):
        assert causes.is_out_of_memory(error)
    with pytest.raises(RuntimeError) as too_much:
        torch.empty(2**55)
    assert causes.is_out_of_memory(too_much.value)
    assert not causes.is_out_of_memory(RuntimeError("shapes differ"))
    for error in (OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "quota")):
        assert causes.is_disk_full(error)
    assert causes.is_disk_full(DatabaseFullError("no room"))
    assert not causes.is_disk_full(OSError(errno.EIO, "broken"))


@pytest.mark.parametrize(
    ("groups", "place", "text"),
    [
        ("0::/a/b\n", "a/b/memory.events", "low 0\nhigh 0\nmax 5\noom 3\noom_kill 2\n"),
        ("0::/outside\n", "memory.events", "oom 9\noom_kill 2\n"),
        ("4:cpu,memory:/x\n0::/\n", "memory/x/memory.oom_control", "under_oom 0\noom_kill 2\n"),
        ("4:memory:/outside\n", "memory/memory.oom_control", "under_oom 0\noom_kill 2\n"),
        ("0::/a:b\n", "a:b/memory.events", "oom 9\noom_kill 2\n"),
        ("4:cpu:/x\n", "vmstat", "pgfault 9\noom_kill 2\n"),
    ],
)
def test_kills_for_memory_are_read_where_the_kernel_counts_them(
    tmp_path, monkeypatch, groups, place, text
):
    monkeypatch.setattr(memory, "PROC", tmp_path)
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    assert memory.oom_kills() == 0
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text(groups)
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text(text)
    assert memory.oom_kills() == 2


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        ("0::/a/b\n", {"a/b": "max 5 3", "a": "1000 400 100", ".": "max 9 9"}),
        ("0::/a/b\n", {"a/b": "1000 400 100", "a": "2000 900 0"}),
        ("0::/outside\n", {".": "1000 400 100"}),
        ("0::/../../x\n", {".": "1000 400 100", "../../x": "7 5 1"}),
        ("4:cpu,memory:/x\n0::/\n", {"memory/x": "1000 400 100", "memory": f"{2**63 - 4096} 9 9"}),
    ],
)
def test_memory_is_that_of_the_tightest_group_without_what_is_given_up_at_once(
    tmp_path, monkeypatch, groups, files
):
    mount = tmp_path / "one" / "two"
    monkeypatch.setattr(memory, "PROC", tmp_path)
    monkeypatch.setattr(memory, "CGROUPS", mount)
    machine = memory.memory()
    assert machine.total == psutil.virtual_memory().total
    assert 0 < machine.used < machine.total
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text(groups)
    for folder, numbers in files.items():
        limit, usage, cache = numbers.split()
        first = folder.startswith("memory")
        place = mount / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / ("memory.limit_in_bytes" if first else "memory.max")).write_text(f"{limit}\n")
        (place / ("memory.usage_in_bytes" if first else "memory.current")).write_text(f"{usage}\n")
        name = "total_inactive_file" if first else "inactive_file"
        (place / "memory.stat").write_text(f"anon 9\n{name} {cache}\n")
    assert memory.memory() == (1000, 300)


def test_every_cause_has_its_number_of_automatic_tries():
    assert causes.retries(transitions.DRAIN) == float("inf")
    assert causes.retries(causes.LOST) == settings().max_lost_attempts - 1
    assert causes.retries(causes.OOM) == 1
    assert causes.retries(causes.DISK_FULL) == 0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_person_s_resume_forgets_what_memory_cost_before_it(request, kind):
    database = request.getfixturevalue(f"{kind}_database")
    with database.write() as session:
        new = NewRun("n", {}, "0" * 64, "caat", "digits", 0, 5)
        run_id, _ = transitions.create_run(session, new, "tester")
    for number, actor, reason in [(1, "reconciler", "retry"), (2, "tester", "user"), (3, "", "")]:
        with database.write() as session:
            assert transitions.claim(session, run_id, identity(), lease_seconds=60) == number
            assert transitions.epoch_done(session, run_id, number, epoch=number) is None
            assert transitions.interrupt(
                session, run_id, number, reason=causes.OOM, message="no memory"
            )
        time.sleep(0.05)
        with database.write() as session:
            (waiting,) = interruption.resumable(session, 0)
            assert waiting.times == (2 if number == 2 else 1)
            if actor:
                assert transitions.requeue(session, run_id, actor, reason=reason)
    with database.read() as session:
        assert queries.runs_with_status(session, RunStatus.INTERRUPTED) == [run_id]


@pytest.mark.parametrize(
    ("reason", "lost", "times", "status"),
    [
        (transitions.DRAIN, 99, 99, "queued"),
        (causes.LOST, 0, 99, "queued"),
        (causes.LOST, -1, 0, "failed"),
        (causes.OOM, 99, 1, "queued"),
        (causes.OOM, 0, 2, "interrupted"),
        (causes.DISK_FULL, 0, 1, "interrupted"),
    ],
)
def test_a_run_is_queued_again_while_its_cause_has_tries_left(
    sqlite_database, reason, lost, times, status
):
    """A loss is given from the last one allowed on: 0 is it, -1 one more."""
    lost = settings().max_lost_attempts - 1 - lost if reason == causes.LOST else lost
    with sqlite_database.write() as session:
        new = NewRun("n", {}, "0" * 64, "caat", "digits", 0, 5)
        run_id, _ = transitions.create_run(session, new, "tester")
        transitions.claim(session, run_id, identity(), lease_seconds=60)
        transitions.interrupt(session, run_id, 1, reason=reason, message=None)
        reconcile.queue_again(session, Interrupted(run_id, reason, lost, times))
        run = queries.get_run(session, run_id)
    assert run is not None
    assert run.status == status
    if status == "failed":
        assert (run.reason, run.message) == ("lost_too_often", causes.lost_too_often(lost))


def test_a_damaged_checkpoint_is_told_among_the_events_of_the_run(here, launch, sqlite_studio):
    run_id = launch("training.epochs=3")
    here(run_id, "def none(handle): raise MemoryError", "seen, real = [], os.fsync",
         "def late(h):", "    seen.append(h)", "    return real(h) if len(seen) < 5 else none(h)",
         "os.fsync = late")  # fmt: skip
    with sqlite_studio.database.read() as session:
        newest, _ = queries.checkpoints(session, run_id)
    (sqlite_studio.folder / newest.path).write_bytes(b"damaged")
    sweep_after_a_pause(sqlite_studio)
    here(run_id)
    assert sqlite_studio.run(run_id).status == "succeeded"
    with sqlite_studio.database.read() as session:
        events = queries.events(session, run_id)
    told = [event for event in events if event.from_status == event.to_status]
    assert [event.message for event in told] == ["Epoch 2 checkpoint damaged, resumed from 1"]
    assert told[0].reason == "damaged"


def test_a_disk_too_full_for_the_log_of_a_trainer_waits_for_a_person(here, launch, sqlite_studio):
    run_id = launch()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.worker.supervise.start_trainer", full)
        here(run_id)
    run = sqlite_studio.run(run_id)
    assert (run.status, run.reason) == ("interrupted", "disk_full")
    assert run.message.startswith("Stopped: disk full. No checkpoint was written yet. Free ")


def test_a_trainer_that_finds_no_room_tells_the_newest_epoch_that_is_kept(studio):
    run_id = studio.queue()
    full = OSError(errno.ENOSPC, "No space left on device")
    with studio.database.write() as session:
        number = transitions.claim(session, run_id, identity(), lease_seconds=60)
        for epoch in (3, 7):
            write_checkpoint(
                session, run_id, number, epoch=epoch, path=f"e{epoch}", size=1, sha256="0" * 64
            )
        reason, message = supervise._no_trainer(session, run_id, full)
    assert (reason, "epoch 7" in message) == ("disk_full", True)
    assert "epoch 3" not in message
