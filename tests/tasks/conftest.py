"""A whole installation for one test: its own folder, database, broker and worker processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.cli import main
from db import queries
from db.rows import RunDetail
from db.session import Database
from tasks.broker import is_up
from tasks.settings import settings

CAAT = [sys.executable, "-m", "app.cli"]
SCENARIO = """
name = "tiny"
seed = 3
[data]
dataset = "digits"
train_size = 200
test_size = 50
meta_per_class = 5
val_per_class = 5
[data.noise]
ratio = 0.2
[threat]
epsilon = 0.1
num_steps = 2
[training]
epochs = 3
batch_size = 32
[evaluation]
num_steps = 3
val_num_steps = 2
"""


class Studio:
    """Real processes on a database of their own, each ended by its own pid."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder, self.database = folder, database
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "CAAT_DATA_DIR": str(folder),
            "CAAT_DATABASE_URL": database.url.render_as_string(hide_password=False),
            "CAAT_SWEEP_SECONDS": "0.5",
            "CAAT_RETRY_AFTER_SECONDS": "1",
            "CAAT_RING_AGAIN_SECONDS": "3",
            "CAAT_HEARTBEAT_SECONDS": "0.3",
        }
        self.scenario = folder / "scenario.toml"
        self.scenario.write_text(SCENARIO)

    def caat(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [*CAAT, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start a process that stays."""
        with (self.folder / "output.txt").open("ab") as output:
            process = subprocess.Popen(
                list(words), env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        self.processes.append(process)
        return process

    def start_broker(self) -> "subprocess.Popen[bytes]":
        """Start the embedded broker and wait until it answers."""
        script = (
            "import os; from tasks.broker import server_command as c; w = c(); os.execv(w[0], w)"
        )
        process = self.start(sys.executable, "-c", script)
        socket = self.folder / "broker" / "broker.sock"
        self.wait_for(lambda: is_up(f"redis+socket://{socket}"), "the broker")
        return process

    def start_worker(self) -> "subprocess.Popen[bytes]":
        return self.start(*CAAT, "worker")

    def launch(self, *changes: str) -> str:
        """Queue the tiny scenario, changed, and return the run's id."""
        sets = [word for change in changes for word in ("--set", change)]
        done = self.caat("launch", str(self.scenario), *sets)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def run(self, run_id: str) -> RunDetail:
        with self.database.read() as session:
            found = queries.get_run(session, run_id)
        assert found is not None
        return found

    def wait_for(self, is_there: Callable[[], bool], what: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not is_there():
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not within {seconds} s\n{self.output()}")
            time.sleep(0.05)

    def wait_for_status(self, run_id: str, *statuses: str) -> RunDetail:
        self.wait_for(lambda: self.run(run_id).status in statuses, f"{run_id} {statuses}")
        return self.run(run_id)

    def wait_for_epoch(self, run_id: str, epoch: int) -> None:
        self.wait_for(lambda: self.run(run_id).epoch >= epoch, f"epoch {epoch} of {run_id}")

    def trainers(self, run_id: str) -> list[psutil.Process]:
        """Return the trainer processes of a run that are alive."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            words = process.info["cmdline"] or []
            if run_id in words and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def output(self) -> str:
        logs = [self.folder / "output.txt", *self.folder.glob("runs/*/log.txt")]
        return "\n".join(log.read_text()[-2000:] for log in logs if log.exists())

    def close(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.fixture
def sqlite_studio(data_dir: Path, sqlite_database: Database) -> Iterator[Studio]:
    """An installation on SQLite."""
    yield from _open(data_dir, sqlite_database)


@pytest.fixture
def postgresql_studio(data_dir: Path, postgresql_database: Database) -> Iterator[Studio]:
    """An installation on PostgreSQL."""
    yield from _open(data_dir, postgresql_database)


def _open(data_dir: Path, database: Database) -> Iterator[Studio]:
    studio = Studio(data_dir, database)
    try:
        yield studio
    finally:
        studio.close()


@pytest.fixture
def caat_here(
    sqlite_studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str]]]:
    """Run a command in this process; give its exit code and what it wrote on stderr."""
    for name, value in sqlite_studio.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(sqlite_studio.folder)
    settings.cache_clear()

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["caat", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), capsys.readouterr().err

    yield run
    settings.cache_clear()
