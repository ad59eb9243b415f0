"""Celery's own tools see a run and can stop it; nothing else that they send changes a worker."""

import json
import subprocess
import sys

import psutil
import pytest
import redis

from db.models import RunStatus
from db.reads import queries
from tasks.queue.message import TASK, message, task_id
from tasks.queue.messages import key_of
from tests.real import stand_in
from tests.real.studio import Studio

KEY = key_of("default")
LONG = "training.epochs=400"
AtWork = tuple[Studio, "subprocess.Popen[bytes]", str]


def celery(studio: Studio, *words: str) -> str:
    """Return what a command of Celery's own tells."""
    told = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tasks", *words],
        env=studio.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in told.stdout + told.stderr
    return told.stdout


def answer(studio: Studio, *words: str) -> object:
    """Return what the one worker answers."""
    told = json.loads(celery(studio, *words, "--json"))
    (of_worker,) = told.values()
    return of_worker


def client_of(studio: Studio) -> "redis.Redis":
    return redis.Redis(unix_socket_path=str(studio.socket))


def put_to_work(studio: Studio) -> AtWork:
    """Give an installation a broker and a worker that trains a run."""
    studio.environment["CAAT_SWEEP_SECONDS"] = "600"  # only a message starts a run
    studio.start_broker()
    worker = studio.start_worker()
    client = client_of(studio)
    studio.wait_for(lambda: client.pubsub_numpat() > 0, "a worker that listens")
    client.close()
    run_id = studio.launch(LONG)
    studio.wait_for_epoch(run_id, 1)
    return studio, worker, run_id


@pytest.fixture(params=["sqlite", "postgresql"])
def at_work(request: pytest.FixtureRequest) -> AtWork:
    return put_to_work(request.getfixturevalue(f"{request.param}_studio"))


@pytest.fixture
def at_work_on_sqlite(sqlite_studio: Studio) -> AtWork:
    return put_to_work(sqlite_studio)


def test_a_run_in_training_is_seen_by_its_id_and_its_trainer_descends_from_the_worker(at_work):
    studio, worker, run_id = at_work
    assert answer(studio, "inspect", "ping") == {"ok": "pong"}
    (active,) = answer(studio, "inspect", "active")
    assert (active["id"], active["args"]) == (task_id(run_id, 1), [run_id])
    assert active["worker_pid"] == worker.pid
    (trainer,) = studio.trainers(run_id)
    assert worker.pid in [process.pid for process in psutil.Process(trainer.pid).parents()]
    assert answer(studio, "inspect", "reserved") == []


def test_a_revoke_stops_a_waiting_and_a_training_run_and_a_resumed_one_goes_by_another_id(at_work):
    studio, _, run_id = at_work
    waiting = studio.launch(LONG)
    told = celery(studio, "control", "revoke", task_id(waiting, 1))
    assert f"{task_id(waiting, 1)}: Cancelled; nothing of it was at work" in told
    assert studio.run(waiting).status == RunStatus.CANCELLED
    told = celery(studio, "control", "terminate", "KILL", task_id(run_id, 1))
    assert "Stopping at the next step" in told
    assert studio.wait_for_status(run_id, "cancelled").message == "Stopped"
    with studio.database.read() as session:
        actors = [event.actor for event in queries.events(session, run_id)]
    assert any(actor.startswith("celery, heard by ") for actor in actors)

    assert studio.caat("resume", waiting).returncode == 0
    studio.wait_for_epoch(waiting, 1)
    (active,) = answer(studio, "inspect", "active")
    assert active["id"] == task_id(waiting, 2)
    told = celery(studio, "control", "revoke", task_id(waiting, 1))
    assert f"it is {task_id(waiting, 2)} by now" in told
    assert studio.run(waiting).status == RunStatus.RUNNING


def test_what_became_of_a_run_is_told_as_the_end_of_its_task(sqlite_studio):
    studio = sqlite_studio
    studio.environment |= {"CAAT_SWEEP_SECONDS": "600", "CAAT_MAX_LOST_ATTEMPTS": "1"}
    studio.start_broker()
    studio.start_worker()
    client = client_of(studio)
    told = studio.folder / "events.txt"
    words = [sys.executable, "-m", "celery", "-A", "tasks", "events", "--dump"]
    with told.open("w") as output:
        dump = subprocess.Popen(words, env=studio.environment, stdout=output)
    studio.processes.append(dump)
    studio.wait_for(lambda: client.pubsub_numpat() > 1, "a worker and an observer that listen")
    client.close()

    def ended(run_id: str, how: str) -> bool:
        return f"task {how}: {TASK}({task_id(run_id, 1)})" in told.read_text()

    good = studio.launch("training.epochs=1")
    studio.wait_for(lambda: ended(good, "succeeded"), "the end of the good one")
    stopped = studio.launch(LONG)
    studio.wait_for_epoch(stopped, 1)
    studio.caat("stop", stopped)
    studio.wait_for(lambda: ended(stopped, "revoked"), "the end of the stopped one")
    wild = ["training.lr=10", "training.momentum=0.99", "method.name=trades"]
    diverging = studio.launch(*wild, "training.epochs=40")
    studio.wait_for_status(diverging, "failed")
    studio.wait_for(lambda: ended(diverging, "failed"), "the end of the failed one")
    assert "diverged" in told.read_text().lower()
    assert studio.run(good).status == RunStatus.SUCCEEDED


def test_a_message_that_comes_again_starts_no_second_trainer(at_work):
    studio, _, run_id = at_work
    client = client_of(studio)
    assert client.hlen("caat:unacked") == 1
    (tag,) = client.hkeys("caat:unacked")
    client.zadd("caat:unacked_index", {tag: 0})  # as if the visibility timeout were over
    other = studio.start_worker()
    studio.wait_for(lambda: client.hlen("caat:unacked") == 0, "the message to come again and go")
    client.lpush(KEY, message(task_id(run_id, 1)))
    studio.wait_for(lambda: client.llen(KEY) == 0, "the third one to go")
    run = studio.run(run_id)
    assert (run.status, run.attempt, len(studio.trainers(run_id))) == (RunStatus.RUNNING, 1, 1)
    assert other.poll() is None
    client.close()


def test_shutdown_by_a_command_is_a_drain(at_work):
    studio, worker, run_id = at_work
    celery(studio, "control", "shutdown")
    assert worker.wait(60) == 0
    run = studio.run(run_id)
    assert (run.status, run.attempts[0].outcome) in [("interrupted", "drain"), ("queued", "drain")]
    assert not studio.trainers(run_id)


def test_what_a_worker_does_not_obey_is_answered_so_and_changes_nothing(at_work_on_sqlite):
    studio, worker, run_id = at_work_on_sqlite
    for words in (
        ("control", "pool_grow", "3"),
        ("control", "pool_shrink", "1"),
        ("control", "autoscale", "9", "1"),
        ("control", "rate_limit", "tasks.train.train_run", "1/h"),
        ("control", "time_limit", "tasks.train.train_run", "1", "2"),
        ("control", "cancel_consumer", "caat"),
        ("control", "add_consumer", "elsewhere"),
        ("inspect", "objgraph"),
    ):
        assert f"does not obey {words[1]}" in celery(studio, *words)
    for wrong in ("x", run_id, f"{run_id}.0", f"{'0' * 32}.1", "../etc.1"):
        told = celery(studio, "control", "revoke", wrong)
        assert "its id is not that of a queued run" in told or "no such run" in told
    served = answer(studio, "inspect", "active_queues")
    assert [queue["name"] for queue in served] == ["caat", "caat.cpu"]
    assert worker.poll() is None
    assert studio.run(run_id).status == RunStatus.RUNNING


def test_a_worker_of_celerys_own_making_is_refused_in_one_line(sqlite_studio):
    told = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tasks", "worker"],
        env=sqlite_studio.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert told.returncode == 2
    (line,) = told.stderr.splitlines()
    assert line.endswith("start it by `caat worker`")


def command(**fields: object) -> bytes:
    """Return a command as others would publish it."""
    return json.dumps({"body": json.dumps(fields), "properties": {}}).encode()


HOSTILE = [
    b"",
    b"garbage",
    b"[" * 20_000,
    b'{"body": 1}',
    b'{"body": "e30=", "properties": {"body_encoding": "base64"}}',
    command(method="../x"),
    command(method=["ping"]),
    command(method="revoke"),
    command(method="revoke", arguments={"task_id": 5}),
    command(method="revoke", arguments={"task_id": [{}]}),
    command(method="active", destination={"a": 1}),
    command(method="ping", reply_to={"exchange": "", "routing_key": "caat"}),
    command(method="shutdown", destination=["somebody@else"]),
    command(method="shutdown", pattern="somebody*", matcher="glob"),
    command(method="shutdown", pattern="(a+)+$", matcher="pcre"),
    command(method="shutdown", matcher="glob"),
    command(method="shutdown", pattern=7, matcher="glob"),
]


def test_hostile_commands_end_no_worker_and_no_run(at_work_on_sqlite):
    studio, worker, run_id = at_work_on_sqlite
    client = client_of(studio)
    for entry in HOSTILE * 3:
        client.publish("caat:/0.celery.pidbox", entry)
    assert answer(studio, "inspect", "ping") == {"ok": "pong"}
    assert worker.poll() is None
    assert studio.run(run_id).status == RunStatus.RUNNING
    told = (studio.folder / "output.txt").read_text(errors="replace")
    assert "Traceback" not in told
    assert client.llen(KEY) == 0
    client.close()


def test_no_answer_to_a_command_holds_a_secret(sqlite_studio):
    studio = sqlite_studio
    studio.start_broker()
    studio.environment["CAAT_BROKER_URL"] = f"redis+socket://:hunter2@{studio.socket}"
    studio.start_worker()
    studio.wait_for(lambda: "pong" in celery(studio, "inspect", "ping"), "an answer")
    for words in (("conf", "1"), ("report",), ("stats",), ("active_queues",), ("registered",)):
        assert "hunter2" not in celery(studio, "inspect", *words)


def test_runs_are_taken_one_after_the_other_while_there_is_no_broker(sqlite_studio):
    studio = sqlite_studio
    stand_in.put_in(studio)
    studio.environment["CAAT_SWEEP_SECONDS"] = "1"
    studio.environment |= {
        f"CAAT_{name.upper()}": str(value) for name, value in stand_in.SETTINGS.items()
    }
    run_ids = [studio.queue() for _ in range(12)]
    worker = studio.start_worker()
    studio.wait_for(lambda: stand_in.started(studio).keys() >= set(run_ids), "every start")
    assert all(len(starts) == 1 for starts in stand_in.started(studio).values())
    assert worker.poll() is None
