"""``caat run`` is a full supervisor: it resumes, stops in good order, and says what it does."""

import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from db.reads import queries
from tests.real.studio import CAAT, is_alive

LONG = ("--set", "training.epochs=500")


class Foreground:
    """A ``caat run`` of its own process, on an installation."""

    def __init__(self, studio, *words: str, ignoring: int | None = None) -> None:
        self.studio = studio
        self.process = subprocess.Popen(
            [*CAAT, "run", str(studio.scenario), "--json", *words],
            env=studio.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: _default_signals(ignoring),
        )
        studio.processes.append(self.process)

    def run_id(self) -> str:
        """Wait for its run to have recorded an epoch."""
        self.studio.wait_for(lambda: bool(self._ids()), "a run")
        (run_id,) = self._ids()
        self.studio.wait_for_epoch(run_id, 1)
        return run_id

    def _ids(self) -> list[str]:
        with self.studio.database.read() as session:
            return queries.find_runs(session, "")

    def ended(self) -> tuple[int, dict, str]:
        """Return its exit code, the object that it printed, and its last line on stderr."""
        out, err = self.process.communicate(timeout=120)
        assert "Traceback" not in err
        return self.process.returncode, json.loads(out), err.strip().splitlines()[-1]


@pytest.fixture(params=["sqlite", "postgresql"])
def studio(request):
    return request.getfixturevalue(f"{request.param}_studio")


def _default_signals(ignoring: int | None) -> None:
    """Let every signal but one end this process, whatever this test was started with."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN if number == ignoring else signal.SIG_DFL)


def events(studio, run_id: str) -> list[tuple[int, str, str]]:
    with studio.database.read() as session:
        return [(e.attempt, e.to_status, e.message or "") for e in queries.events(session, run_id)]


def test_a_killed_trainer_is_resumed_by_the_same_command_to_an_undisturbed_end(studio):
    undisturbed = json.loads(studio.caat("run", str(studio.scenario), "--json").stdout)
    with studio.database.write() as session:
        session.execute(queries.Run.__table__.update().values(name="first"))
    marked = Path(studio.folder) / "killed"
    studio.environment["PYTHONPATH"] = f"{_killing_once(studio.folder, marked)}:{Path.cwd()}"
    done = json.loads(studio.caat("run", str(studio.scenario), "--json").stdout)
    assert marked.exists()
    assert done["status"] == "succeeded"
    assert done["metrics"] == undisturbed["metrics"]
    told = events(studio, done["run_id"])
    assert [(number, status) for number, status, _ in told] == [
        (0, "queued"), (1, "running"), (1, "interrupted"), (1, "queued"), (2, "running"),
        (2, "succeeded"),
    ]  # fmt: skip
    assert "resuming (attempt 2)" in told[2][2]


def _killing_once(folder: Path, marked: Path) -> str:
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'tasks.trainer' in getattr(sys, 'orig_argv', []):\n"
        "    import os, pathlib, signal\n"
        "    from tasks.recording import recorder\n"
        "    real = recorder.Recorder.on_epoch\n"
        "    def on_epoch(self, report):\n"
        "        real(self, report)\n"
        f"        mark = pathlib.Path({str(marked)!r})\n"
        "        if report.epoch == 2 and not mark.exists():\n"
        "            mark.touch()\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "    recorder.Recorder.on_epoch = on_epoch\n"
    )
    return str(folder)


@pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
def test_a_trainer_that_always_dies_is_given_up_in_the_same_command(studio, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'tasks.trainer' in getattr(sys, 'orig_argv', []): os._exit(139)\n"
    )
    studio.environment["PYTHONPATH"] = f"{tmp_path}:{Path.cwd()}"
    code, result, told = Foreground(studio).ended()
    assert (code, result["status"]) == (1, "failed")
    assert told == "caat: Failed 3 times at start; not retried"
    assert studio.run(result["run_id"]).attempt == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
def test_a_signal_stops_the_run_in_good_order_with_the_result_and_the_reason(studio, number):
    foreground = Foreground(studio, *LONG)
    run_id = foreground.run_id()
    (trainer,) = studio.trainers(run_id)
    foreground.process.send_signal(number)
    code, result, told = foreground.ended()
    name = {"SIGINT": "Ctrl-C"}.get(number.name, number.name)
    assert (code, result["run_id"], result["status"]) == (1, run_id, "cancelled")
    assert result["message"] == f"Stopped by {name}"
    assert told == f"caat: Stopped by {name}"
    assert not is_alive(trainer)
    run = studio.run(run_id)
    assert (run.status, run.attempts[0].outcome) == ("cancelled", "cancelled")
    assert run.epoch >= 1
    assert "Queued" in studio.caat("resume", run_id).stdout  # nothing of it is lost


@pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
def test_what_was_started_with_nohup_outlives_its_terminal(studio):
    foreground = Foreground(studio, *LONG, ignoring=signal.SIGHUP)
    run_id = foreground.run_id()
    foreground.process.send_signal(signal.SIGHUP)
    studio.wait_for_epoch(run_id, studio.run(run_id).epoch + 1)
    foreground.process.terminate()
    assert foreground.ended()[1]["message"] == "Stopped by SIGTERM"


@pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
def test_a_terminal_that_closes_stops_the_run_and_leaves_no_process(studio):
    leader, follower = pty.openpty()  # it says that it has no width
    process = subprocess.Popen(
        [*CAAT, "run", str(studio.scenario), *LONG],
        env=studio.environment,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        preexec_fn=lambda: _take_terminal(follower),
    )
    studio.processes.append(process)
    os.close(follower)
    drawn = _reading(leader)
    studio.wait_for(lambda: re.search(r"epoch \d+/500", drawn()) is not None, "a drawn epoch")
    with studio.database.read() as session:
        (run_id,) = queries.find_runs(session, "")
    os.close(leader)
    process.wait(timeout=60)
    run = studio.run(run_id)
    assert (run.status, run.message) == ("cancelled", "Stopped by SIGHUP")
    assert not studio.trainers(run_id)


def _take_terminal(terminal: int) -> None:
    _default_signals(None)
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def _reading(leader: int) -> Callable[[], str]:
    os.set_blocking(leader, False)
    read: list[bytes] = []

    def drawn() -> str:
        try:
            read.append(os.read(leader, 65536))
        except BlockingIOError:
            time.sleep(0.05)
        return b"".join(read).decode(errors="replace")

    return drawn


@pytest.mark.parametrize("studio", ["postgresql"], indirect=True)
def test_a_command_killed_with_its_trainer_leaves_a_run_that_the_next_one_marks(studio):
    foreground = Foreground(studio, *LONG)
    run_id = foreground.run_id()
    (trainer,) = studio.trainers(run_id)
    foreground.process.kill()
    foreground.process.communicate()
    psutil.wait_procs([trainer], timeout=10)
    assert not is_alive(trainer)
    listed = json.loads(studio.caat("status", "--json").stdout)["runs"]
    assert [run["status"] for run in listed] == ["lost"]
    assert studio.run(run_id).status == "running"
    assert json.loads(studio.caat("run", str(studio.scenario), "--json").stdout)["metrics"]
    run = studio.run(run_id)
    assert run.status == "interrupted"
    assert "waits for a worker (attempt 2)" in run.message
