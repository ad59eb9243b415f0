"""A whole installation: its own folder, database, broker and worker processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import redis

from app.scenario.toml_in import read_scenario
from db.reads import queries
from db.reads.rows import AttemptRow, RunDetail
from db.session import Database
from db.writes import transitions
from tasks.broker_url import of_socket, socket_path
from tasks.queue.broker import is_up
from tasks.queue.celery_app import celery_app
from tasks.queue.message import TASK, task_id
from tasks.queue.submit import new_run
from tasks.settings import Settings

CAAT = [sys.executable, "-m", "app.cli.main"]
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
HURRIED = {
    "sweep_seconds": 0.5,
    "retry_after_seconds": 1,
    "resend_after_seconds": 3,
    "heartbeat_seconds": 0.3,
}
"""Settings that make little of every wait."""


def shipped(*names: str) -> dict[str, float]:
    """Return the defaults of some settings."""
    return {name: Settings.model_fields[name].default for name in names}


class Studio:
    """Real processes on a database of their own, each ended by its own pid."""

    def __init__(self, folder: Path, database: Database, **changed: float) -> None:
        """Make it ready; ``changed`` are settings beside the hurried ones."""
        self.folder, self.database = folder, database
        self.processes: list[subprocess.Popen[bytes]] = []
        chosen = {f"CAAT_{name.upper()}": str(v) for name, v in (HURRIED | changed).items()}
        self.environment = {
            **os.environ,
            "CAAT_DATA_DIR": str(folder),
            "CAAT_DATABASE_URL": database.url.render_as_string(hide_password=False),
            **chosen,
        }
        self.socket = socket_path(folder)
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
            "import os; from tasks.queue.broker import server_command\n"
            "words = server_command(); os.execv(words[0], words)"
        )
        process = self.start(sys.executable, "-c", script)
        self.wait_for(lambda: is_up(of_socket(self.socket)), "the broker")
        return process

    def start_worker(self) -> "subprocess.Popen[bytes]":
        return self.start(*CAAT, "worker")

    def launch(self, *changes: str) -> str:
        """Queue the tiny scenario, changed, by command, and return the run's id."""
        sets = [word for change in changes for word in ("--set", change)]
        done = self.caat("launch", str(self.scenario), *sets)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def queue(self, *changes: str) -> str:
        """Do the same here and without a message; the next sweep of a worker sends it."""
        run = new_run(read_scenario(self.scenario, list(changes)))
        with self.database.write() as session:
            return transitions.create_run(session, run, "benchmark")[0]

    def send_by_celery(self, run_ids: list[str]) -> None:
        """Send one message each as Celery itself does, and count every queued run's as sent."""
        with self.database.write() as session:
            transitions.take_unsent(session, 0, at_most=1_000_000)
        with celery_app.connection_for_write(of_socket(self.socket)) as connection:
            for run_id in run_ids:
                celery_app.send_task(
                    TASK,
                    args=[run_id],
                    task_id=task_id(run_id, 1),
                    queue="caat",
                    connection=connection,
                )

    def num_messages(self) -> int:
        """Return how many messages wait in the broker."""
        prefix = celery_app.conf.broker_transport_options["global_keyprefix"]
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            return int(client.llen(f"{prefix}caat"))

    def run(self, run_id: str) -> RunDetail:
        with self.database.read() as session:
            found = queries.get_run(session, run_id)
        assert found is not None
        return found

    def attempt(self, run_id: str, number: int) -> AttemptRow:
        return self.run(run_id).attempts[number - 1]

    def next_attempt(self, run_id: str) -> tuple[AttemptRow, psutil.Process] | None:
        """Wait for a run's attempt and its trainer; nothing if the run ends before."""
        while True:
            run = self.wait_for_status(run_id, "running", "succeeded", "failed", seconds=300)
            if run.status != "running":
                return None
            attempt = run.attempts[-1]
            self.wait_in(run_id, attempt, partial(trainer_of, attempt))
            trainer = trainer_of(attempt)
            if trainer is not None:
                return attempt, trainer

    def wait_in(
        self, run_id: str, attempt: AttemptRow, is_there: Callable[[], object] = lambda: False
    ) -> None:
        """Wait until something is so, or the attempt has ended."""
        self.wait_for(
            lambda: bool(is_there()) or self.attempt(run_id, attempt.number).ended_at is not None,
            f"attempt {attempt.number} of {run_id}",
            seconds=300,
        )

    def wait_for_training(self, run_id: str, attempt: AttemptRow) -> None:
        """Wait until an attempt takes steps, or has ended."""
        self.wait_in(run_id, attempt, lambda: self.attempt(run_id, attempt.number).num_steps > 0)

    def wait_for(self, is_there: Callable[[], bool], what: str, seconds: float = 300) -> None:
        """Wait until something is so.

        Raises:
            TimeoutError: It did not become so in time.
        """
        deadline = time.monotonic() + seconds
        while not is_there():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds} s\n{self.output()}")
            time.sleep(0.02)

    def wait_for_status(self, run_id: str, *statuses: str, seconds: float = 300) -> RunDetail:
        self.wait_for(lambda: self.run(run_id).status in statuses, f"{run_id} {statuses}", seconds)
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

    def left_behind(self) -> list[psutil.Process]:
        """Return the living processes of this data directory that nobody answers for."""
        known = {process.pid for process in self.processes if process.poll() is None}
        return [p for p in psutil.process_iter() if p.pid not in known and self._is_mine(p)]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("CAAT_DATA_DIR") == str(self.folder) and is_alive(process)
        except psutil.Error:
            return False

    def output(self) -> str:
        logs = [self.folder / "output.txt", *self.folder.glob("runs/*/log.txt")]
        return "\n".join(log.read_text()[-2000:] for log in logs if log.exists())

    def close(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait()


def trainer_of(attempt: AttemptRow) -> psutil.Process | None:
    """Return the living trainer of an attempt, a child of its worker."""
    try:
        children = psutil.Process(attempt.pid).children()
        return next((p for p in children if "tasks.trainer" in p.cmdline() and is_alive(p)), None)
    except psutil.Error:
        return None


def outlives(process: psutil.Process, seconds: float = 5) -> bool:
    """Tell whether a process that must be gone is there after so long."""
    deadline = time.monotonic() + seconds
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_alive(process)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def side_by_side(*works: Callable[[], None]) -> None:
    """Do several works at once, each in a thread; the first error of any is raised at the end."""
    with ThreadPoolExecutor(len(works)) as pool:
        for begun in [pool.submit(work) for work in works]:
            begun.result()
