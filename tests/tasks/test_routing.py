"""Runs go to the workers that may take them, in their turn, and say why they wait."""

import json

import pytest
import redis

from tasks.queue.message import task_id
from tasks.queue.messages import Waiting, key_of
from tests.real import stand_in
from tests.real.studio import CAAT, Studio


@pytest.fixture(params=["sqlite", "postgresql"])
def studio(request: pytest.FixtureRequest) -> Studio:
    """An installation with a broker, and stand-ins for trainers."""
    found: Studio = request.getfixturevalue(f"{request.param}_studio")
    for name, value in stand_in.SETTINGS.items():
        found.environment[f"CAAT_{name.upper()}"] = str(value)
    stand_in.put_in(found)
    found.start_broker()
    return found


def ended(studio: Studio, run_id: str) -> bool:
    return studio.run(run_id).status == "failed"  # as stand-ins end


def wait_for_end(studio: Studio, *run_ids: str) -> None:
    for run_id in run_ids:
        studio.wait_for(lambda run_id=run_id: ended(studio, run_id), f"the end of {run_id}")


def launch(studio: Studio, *words: str, owner: str = "anna") -> str:
    studio.environment["LOGNAME"] = owner
    done = studio.caat("launch", str(studio.scenario), *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def started(studio: Studio) -> list[str]:
    """Return the runs whose stand-ins were started, in their order."""
    lines = (studio.folder / "started").read_text().splitlines()
    return [line.split()[0] for line in lines]


def start_worker(studio: Studio, queues: str) -> None:
    known = len(worker_rows(studio))
    studio.start(*CAAT, "worker", "--queues", queues)
    studio.wait_for(lambda: len(worker_rows(studio)) > known, "a worker that reports")


def worker_rows(studio: Studio) -> list[str]:
    from db.reads import queries

    with studio.database.read() as session:
        return [row.queues for row in queries.workers(session) if row.queues]


def waiting_at_broker(studio: Studio, queue: str) -> int:
    with redis.Redis(unix_socket_path=str(studio.socket)) as client:
        return int(client.llen(key_of(queue)))


def say(studio: Studio, run_id: str) -> str:
    return str(json.loads(studio.caat("status", run_id, "--json").stdout)["message"])


def test_a_run_waits_for_a_worker_of_its_queue_and_says_so_while_others_go_by(studio):
    refused = studio.caat("launch", str(studio.scenario), "--queue", "a100")
    assert refused.returncode == 2
    assert "no worker has served 'a100' so far; known: default, cpu, gpu" in refused.stderr
    start_worker(studio, "default")
    on_gpu, usual = launch(studio, "--queue", "gpu"), launch(studio)
    wait_for_end(studio, usual)
    told = "Waits for a worker that serves queue 'gpu': none that is running does"
    assert say(studio, on_gpu) == told
    assert (studio.run(on_gpu).status, waiting_at_broker(studio, "gpu")) == ("queued", 1)
    start_worker(studio, "gpu,a100")
    wait_for_end(studio, on_gpu, launch(studio, "--queue", "a100"))
    assert waiting_at_broker(studio, "gpu") == waiting_at_broker(studio, "a100") == 0


def test_runs_begin_by_priority_and_then_by_turns_of_their_owners(studio):
    start_worker(studio, "default,cpu")
    first = launch(studio, owner="anna")
    wait_for_end(studio, first)
    held = studio.queue()
    stand_in_is_held = studio.folder / f"held-{held}"
    stand_in_is_held.touch()
    studio.wait_for(lambda: studio.run(held).status == "running", "the run that is held")
    study = [launch(studio, owner="anna") for _ in range(3)]
    of_ben, low = launch(studio, owner="ben"), launch(studio, "--priority", "0", owner="carl")
    urgent = launch(studio, "--priority", "9", "--queue", "cpu", owner="anna")
    assert "behind" in say(studio, low)
    stand_in_is_held.unlink()
    wait_for_end(studio, *study, of_ben, low, urgent)
    order = started(studio)
    assert order[:4] == [first, held, urgent, of_ben]
    assert sorted(order[4:7]) == sorted(study)  # equals go as their messages come
    assert order[7:] == [low]


def test_a_waiting_run_can_be_moved_and_its_old_message_does_nothing(studio):
    start_worker(studio, "default")
    run_id = launch(studio, "--queue", "gpu", "--priority", "1")
    old = Waiting(task_id(run_id, 1), "gpu")
    moved = studio.caat("place", run_id, "--priority", "7", "--memory", "100TiB")
    assert "Now in queue gpu, priority 7, 1.02e+05 GiB of memory" in moved.stdout
    with redis.Redis(unix_socket_path=str(studio.socket)) as client:
        start_worker(studio, "gpu")
        studio.wait_for(lambda: client.llen(old.key) == 0, "its message to be looked at")
        assert "of memory: the largest in queue" in say(studio, run_id)
        assert studio.caat("place", run_id, "--queue", "default", "--memory", "").returncode == 0
        wait_for_end(studio, run_id)
        client.lpush(old.key, old.entry)
        studio.wait_for(lambda: client.llen(old.key) == 0, "the old message to go")
    assert started(studio) == [run_id]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--queue", "GPU"), "queue: 'GPU' cannot be one; allowed: a to z, 0 to 9"),
        (("--queue", ""), "queue: '' cannot be one"),
        (("--queue", "a,b"), "queue: 'a,b' cannot be one"),
        (("--queue", "gpuu"), "queue: no worker has served 'gpuu' so far"),
        (("--priority", "10"), "Invalid value for '--priority'"),
        (("--priority", "-1"), "Invalid value for '--priority'"),
        (("--memory", "much"), "memory: 'much' is no size; write it like 10GiB"),
        (("--memory", "-1GiB"), "memory: '-1GiB' is no size"),
        (("--memory", "0"), "memory: '0' is no size"),
        (("--memory", "1e400"), "memory: '1e400' is no size"),
        (("--memory", "inf"), "memory: 'inf' is no size"),
    ],
)
def test_a_place_that_cannot_be_is_one_line_and_queues_nothing(sqlite_studio, words, line):
    for command in ("launch", "place"):
        about = str(sqlite_studio.scenario) if command == "launch" else sqlite_studio.queue()
        told = sqlite_studio.caat(command, about, *words)
        assert (told.returncode, told.stdout) == (2, "")
        (said,) = told.stderr.splitlines()
        assert line in said


@pytest.mark.parametrize("queues", ["GPU", "a b", "a,,b", "default,../x"])
def test_a_worker_of_a_queue_that_cannot_be_is_one_line(sqlite_studio, queues):
    told = sqlite_studio.caat("worker", "--queues", queues)
    assert told.returncode == 2
    (said,) = told.stderr.splitlines()
    assert "cannot be a queue's name; allowed: a to z, 0 to 9" in said
    sqlite_studio.environment["CAAT_QUEUES"] = queues
    (said, *_) = sqlite_studio.caat("worker").stderr.splitlines()
    assert said.startswith("caat: CAAT_QUEUES: ")


def test_runs_are_placed_without_a_broker_too(sqlite_studio):
    studio = sqlite_studio
    for name, value in stand_in.SETTINGS.items():
        studio.environment[f"CAAT_{name.upper()}"] = str(value)
    stand_in.put_in(studio)
    low, on_gpu = launch(studio, "--priority", "0"), launch(studio, "--queue", "gpu")
    usual = launch(studio)
    start_worker(studio, "default")
    wait_for_end(studio, usual, low)
    assert started(studio) == [usual, low]
    assert studio.run(on_gpu).status == "queued"
