"""Flower itself, over its HTTP API and its pages: it sees runs and stops them."""

import json
import re
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest
import redis

from db.models import RunStatus
from tasks.queue.message import task_id
from tests.real.studio import Studio

LONG = "training.epochs=400"
PATIENCE = 60.0


class Flower:
    """A process of Flower's that watches an installation whose broker is up."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.log = studio.folder / "output.txt"  # and of what else is started
        studio.environment["FLOWER_UNAUTHENTICATED_API"] = "true"
        words = [sys.executable, "-m", "celery", "-A", "tasks", "flower"]
        studio.start(*words, "--address=127.0.0.1", "--port=0")
        with redis.Redis(unix_socket_path=str(studio.socket)) as client:
            studio.wait_for(lambda: client.pubsub_numpat() > 0, "Flower to hear events")
        (self.address,) = re.findall(r"Visit me at (http://\S+)", self.log.read_text())

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Return the status and the text of an answer."""
        asked = urllib.request.Request(self.address + path, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def told(self, path: str) -> Any:
        status, text = self.ask(path)
        assert status == 200, text
        return json.loads(text)

    def wait_for_state(self, run_id: str, state: str) -> None:
        def is_so() -> bool:
            status, text = self.ask(f"/api/task/info/{task_id(run_id, 1)}")
            return status == 200 and json.loads(text)["state"] == state

        self.studio.wait_for(is_so, f"{run_id} {state} in Flower", PATIENCE)

    def worker(self) -> str:
        """Wait until the one worker is known with all that a page shows; return its name."""

        def is_known() -> bool:
            return "active_queues" in self.ask("/api/workers?refresh=1")[1]

        self.studio.wait_for(is_known, "a worker in Flower", PATIENCE)
        (name,) = self.told("/api/workers")
        return str(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def watched(request: pytest.FixtureRequest) -> tuple[Studio, Flower]:
    """An installation with a broker and Flower, and no worker yet."""
    return watch(request.getfixturevalue(f"{request.param}_studio"))


@pytest.fixture
def watched_on_sqlite(sqlite_studio: Studio) -> tuple[Studio, Flower]:
    return watch(sqlite_studio)


def watch(studio: Studio) -> tuple[Studio, Flower]:
    studio.environment["CAAT_SWEEP_SECONDS"] = "600"  # only a message starts a second run
    studio.start_broker()
    return studio, Flower(studio)


def test_flower_shows_what_trains_and_what_waits_and_stops_both(watched):
    studio, flower = watched
    studio.start_worker()
    training = studio.launch(LONG)
    studio.wait_for_epoch(training, 1)
    waiting = studio.launch(LONG)

    flower.wait_for_state(training, "STARTED")
    flower.wait_for_state(waiting, "PENDING")
    tasks = [task_id(training, 1), task_id(waiting, 1)]
    assert sorted(flower.told("/api/tasks")) == sorted(tasks)
    worker = flower.worker()
    (queue,) = flower.told("/api/queues/length")["active_queues"]
    assert queue == {"name": "caat", "messages": 1}
    pages = ("/", "/workers", f"/worker/{worker}", "/tasks", f"/task/{tasks[0]}", "/broker")
    assert [flower.ask(page)[0] for page in pages] == [200] * len(pages)

    for task in reversed(tasks):
        assert flower.ask(f"/api/task/revoke/{task}?terminate=true", "POST")[0] == 200
    assert studio.wait_for_status(training, "cancelled").message == "Stopped"
    run = studio.wait_for_status(waiting, "cancelled")
    assert (run.attempts, run.epoch) == ([], 0)
    for run_id in (training, waiting):
        flower.wait_for_state(run_id, "REVOKED")
    assert "Traceback" not in flower.log.read_text()


def test_what_flower_asks_for_and_a_worker_refuses_changes_no_run_and_no_page(watched_on_sqlite):
    studio, flower = watched_on_sqlite
    studio.start_worker()
    run_id = studio.launch(LONG)
    studio.wait_for_epoch(run_id, 1)
    worker = flower.worker()
    for asked in (
        f"worker/pool/grow/{worker}?n=2",
        f"worker/pool/shrink/{worker}?n=1",
        f"worker/pool/restart/{worker}",
        f"worker/pool/autoscale/{worker}?min=1&max=3",
        f"worker/queue/add-consumer/{worker}?queue=elsewhere",
        f"worker/queue/cancel-consumer/{worker}?queue=caat",
        f"task/rate-limit/tasks.train.train_run?workername={worker}&ratelimit=1",
        f"task/timeout/tasks.train.train_run?workername={worker}&hard=1",
    ):
        status, text = flower.ask(f"/api/{asked}", "POST")
        assert (status, "does not obey" in text) == (403, True), asked
    for page in ("/", f"/worker/{worker}", f"/task/{task_id(run_id, 1)}", "/broker"):
        assert flower.ask(page)[0] == 200
    assert studio.run(run_id).status == RunStatus.RUNNING
    assert "Traceback" not in flower.log.read_text()


def test_a_worker_that_flower_shuts_down_is_drained_and_flower_shows_that_its_run_goes_on(
    watched_on_sqlite,
):
    studio, flower = watched_on_sqlite
    process = studio.start_worker()
    run_id = studio.launch(LONG)
    studio.wait_for_epoch(run_id, 1)
    flower.wait_for_state(run_id, "STARTED")
    assert flower.ask(f"/api/worker/shutdown/{flower.worker()}", "POST")[0] == 200
    assert process.wait(60) == 0
    flower.wait_for_state(run_id, "RETRY")
    (attempt,) = studio.run(run_id).attempts
    assert attempt.outcome == "drain"


def test_a_run_that_was_begun_without_the_broker_is_told_of_when_the_broker_answers(
    watched_on_sqlite,
):
    studio, flower = watched_on_sqlite
    away = studio.socket.with_name("away.sock")
    studio.socket.rename(away)  # Flower is connected, and stays so
    run_id = studio.queue(LONG)
    studio.start_worker()
    studio.wait_for_epoch(run_id, 1)
    assert flower.told("/api/tasks") == {}
    away.rename(studio.socket)
    flower.wait_for_state(run_id, "STARTED")
