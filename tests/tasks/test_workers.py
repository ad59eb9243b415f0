"""`caat worker --devices`: one process a device, started again when it dies. No GPU is here: where
a test says cuda, the devices are those of `tests.real.gpus`."""

import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from app.cli import workers
from db.reads import queries
from db.reads.rows import WorkerRow
from engine import runtime
from engine.errors import UserError
from tests.real import gpus
from tests.real.studio import CAAT, Studio, is_alive

LONG = "training.epochs=400"


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = gpus.whom_to_ask(tmp_path, 2)
    monkeypatch.setattr(runtime, "whom_to_ask", lambda: command)


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("all", ["cuda:0", "cuda:1"]),
        ("cuda:1,cuda:0", ["cuda:1", "cuda:0"]),
        (" cuda:0 , cuda:0,cpu", ["cuda:0", "cuda:0", "cpu"]),
        ("cuda", ["cuda:0"]),
        ("cuda:01", ["cuda:1"]),
        ("cpu,cpu", ["cpu", "cpu"]),
    ],
)
def test_a_list_names_a_device_for_each_worker(two_gpus, text, devices):
    assert workers.named(text) == devices


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cuda:2", "cuda:2 is not here; CUDA devices here: cuda:0, cuda:1"),
        ("cpu,cuda:7", "cuda:7 is not here"),
        ("", "'' is no device; write all"),
        ("cpu,", "'' is no device"),
        ("all,cpu", "'all' is no device"),
        ("auto", "'auto' is no device"),
        ("cuda:x", "'cuda:x' is no device"),
        ("cuda:1234", "'cuda:1234' is no device"),
        ("cpu\n", None),
        ("tpu", "'tpu' is no device"),
        (",".join(["cpu"] * 65), "65 workers; at most 64"),
    ],
)
def test_a_list_with_a_device_that_is_not_there_is_refused_in_one_line(two_gpus, text, told):
    if told is None:
        assert workers.named(text) == ["cpu"]
        return
    with pytest.raises(UserError) as refused:
        workers.named(text)
    assert str(refused.value).startswith("--devices: ")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_where_no_gpu_is_all_means_one_worker_on_the_processor(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "whom_to_ask", lambda: None)
    assert workers.named("all") == ["cpu"]
    command = gpus.whom_to_ask(tmp_path, 0)
    monkeypatch.setattr(runtime, "whom_to_ask", lambda: command)
    assert workers.named("all") == ["cpu"]


@pytest.mark.parametrize(
    "words",
    [["--devices", "cuda:7"], ["--devices", "cpu", "--device", "cpu"], ["--devices", "x"]],
)
def test_a_mistake_ends_the_command_with_one_line_and_code_two(sqlite_studio, words):
    done = sqlite_studio.caat("worker", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("caat: --devices: ")
    assert done.stderr.count("\n") == 1


def rows(studio: Studio, *states: str) -> list[WorkerRow]:
    """Return the workers that stand so."""
    with studio.database.read() as session:
        return [row for row in queries.workers(session) if row.state in states]


def devices(studio: Studio, *states: str) -> list[str]:
    return sorted(row.device for row in rows(studio, *states))


def start(studio: Studio, text: str, number: int, *options: str) -> "subprocess.Popen[bytes]":
    parent = studio.start(*CAAT, "worker", "--devices", text, *options)
    studio.wait_for(lambda: len(rows(studio, "idle")) == number, "the workers")
    return parent


def test_each_device_has_a_process_which_is_started_again_when_it_dies(sqlite_studio):
    studio = sqlite_studio
    gpus.put_in(studio, 2)
    parent = start(studio, "all", 2)
    first = {row.device: row for row in rows(studio, "idle")}
    assert sorted(first) == ["cuda:0", "cuda:1"]
    assert {row.memory_total for row in first.values()} == {80 * 2**30}
    children = {child.pid for child in psutil.Process(parent.pid).children()}
    assert children == {row.pid for row in first.values()}

    psutil.Process(first["cuda:1"].pid).kill()
    studio.wait_for(lambda: len(rows(studio, "idle")) == 3, "another worker")
    again = [row for row in rows(studio, "idle") if row.id not in {r.id for r in first.values()}]
    assert [row.device for row in again] == ["cuda:1"]
    line = "caat: the worker on cuda:1 ended (killed by SIGKILL); starting it again"
    assert studio.output().splitlines().count(line) == 1

    parent.send_signal(signal.SIGTERM)
    assert parent.wait(120) == 0
    assert devices(studio, "stopped") == ["cuda:0", "cuda:1"]
    assert not studio.left_behind()


def test_a_worker_that_was_told_to_end_stays_away_and_the_last_one_ends_the_command(sqlite_studio):
    studio = sqlite_studio
    parent = start(studio, "cpu,cpu", 2, "--queues", "night")
    assert {row.queues for row in rows(studio, "idle")} == {",night,"}
    for number, row in enumerate(rows(studio, "idle"), start=1):
        psutil.Process(row.pid).terminate()
        studio.wait_for(lambda: len(rows(studio, "stopped")) == number, "a worker's end")  # noqa: B023
    assert parent.wait(120) == 0
    assert studio.output().count("caat: the worker on cpu was told to end\n") == 2
    assert len(rows(studio, "idle", "busy", "stopped")) == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_whatever_ends_the_parent_its_workers_leave_their_runs_as_drained(sqlite_studio, how):
    studio = sqlite_studio
    run_ids = [studio.queue(LONG), studio.queue(LONG)]
    parent = studio.start(*CAAT, "worker", "--devices", "cpu,cpu")
    for run_id in run_ids:
        studio.wait_for_epoch(run_id, 1)
    attempts = [studio.attempt(run_id, 1) for run_id in run_ids]
    assert len({attempt.pid for attempt in attempts}) == 2
    processes = [psutil.Process(attempt.pid) for attempt in attempts]
    parent.send_signal(how)
    parent.wait(120)
    studio.wait_for(lambda: not any(map(is_alive, processes)), "the end of the workers")
    assert [studio.attempt(run_id, 1).outcome for run_id in run_ids] == ["drain", "drain"]
    assert devices(studio, "stopped") == ["cpu", "cpu"]
    assert not studio.left_behind()
