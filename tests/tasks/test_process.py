"""What every process of ours does first, and how a child ends with its parent or goes on anew."""

import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from app.scenario.toml_in import read_scenario
from tasks.processes import orphan
from tasks.queue.submit import new_run
from tasks.settings import open_database, settings
from tasks.worker import supervise

FIRST_FILE = (
    "import sys\n"
    "from tasks.processes.process import init_process\n"
    "init_process()\n"
    "print(open(sys.argv[1], 'w').fileno())\n"
)


@pytest.mark.parametrize("closed", ["0<&-", "2>&-", "0<&- 2>&-"])
def test_a_file_never_takes_the_number_of_an_output_that_was_closed(closed, tmp_path):
    started = f'exec "$@" {closed}'
    words = ["sh", "-c", started, "sh", sys.executable, "-c", FIRST_FILE, str(tmp_path / "file")]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, check=True)
    assert int(done.stdout) > 2


def test_where_no_kernel_does_it_a_child_looks_until_its_parent_is_gone(monkeypatch):
    looks, gone = [], threading.Event()

    def parent_now() -> int:
        return 1 if len(looks) == 3 and threading.current_thread().daemon else 77

    monkeypatch.setattr(orphan.sys, "platform", "darwin")
    monkeypatch.setattr(orphan.os, "getppid", parent_now)
    monkeypatch.setattr(orphan.os, "_exit", lambda code: gone.set())
    monkeypatch.setattr(orphan.time, "sleep", looks.append)
    orphan.die_with_parent(77)
    assert gone.wait(10)
    assert len(looks) == 3


class Clock:
    """Passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("pause", [0, 3, 8])
def test_a_run_of_this_command_begins_anew_after_half_the_pause_before_workers_look(
    pause, caat_here, sqlite_studio, monkeypatch
):
    clock, starts = Clock(), []

    def no_trainer(words: list[str], **_: object) -> None:
        if "tasks.trainer" in words:
            starts.append(clock.now)
        raise OSError("no process can be made")

    settings().retry_after_seconds = pause
    monkeypatch.setattr(supervise, "time", clock)
    monkeypatch.setattr(subprocess, "Popen", no_trainer)
    run_id = supervise.run_now(
        open_database(),
        new_run(read_scenario(sqlite_studio.scenario, [])),
        "tester",
        started=lambda _: None,
        tick=lambda: None,
        told_to_end=lambda: "",
    )
    assert sqlite_studio.run(run_id).status == "failed"
    assert len(starts) == settings().max_lost_attempts
    for before, after in pairwise(starts):
        assert pause / 2 <= after - before <= pause / 2 + 0.2
