"""Whatever becomes of the broker, queued runs start, each of them once."""

import time

import pytest
import redis
from kombu.exceptions import OperationalError

import tasks
from app.cli.embedded_broker import Broker
from app.cli.processes import Child
from db.reads import queries
from db.writes import transitions
from tasks.queue import broker
from tasks.queue.celery_app import celery_app
from tasks.queue.message import TASK
from tasks.settings import settings
from tests.real import stand_in


def seconds_to_start(studio, run_id: str) -> float:
    begun = time.monotonic()
    studio.wait_for(lambda: studio.run(run_id).attempt == 1, "the claim")
    return time.monotonic() - begun


def wait_for_a_worker(studio) -> None:
    def is_there() -> bool:
        with studio.database.read() as session:
            return bool(queries.workers(session))

    studio.wait_for(is_there, "a worker")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_without_a_broker_a_run_starts_at_the_next_look_at_the_table(request, kind):
    studio = request.getfixturevalue(f"{kind}_studio")
    studio.start_worker()
    first, second = studio.launch(), studio.launch()
    studio.wait_for_status(first, "succeeded")
    assert seconds_to_start(studio, second) < 15  # a look every 0.5 s; the machine may be loaded
    studio.wait_for_status(second, "succeeded")
    assert [studio.run(run_id).attempt for run_id in (first, second)] == [1, 1]


def test_a_message_starts_a_run_before_the_next_look_also_after_the_broker_had_refused_everything(
    sqlite_studio,
):
    sqlite_studio.environment["CAAT_SWEEP_SECONDS"] = "600"
    sqlite_studio.start_broker()
    worker = sqlite_studio.start_worker()
    wait_for_a_worker(sqlite_studio)
    first = sqlite_studio.launch()
    assert seconds_to_start(sqlite_studio, first) < 60
    sqlite_studio.wait_for_status(first, "succeeded")
    client = redis.Redis(unix_socket_path=str(sqlite_studio.folder / "broker" / "broker.sock"))
    client.execute_command("ACL SETUSER default -brpop")
    told = sqlite_studio.folder / "output.txt"
    sqlite_studio.wait_for(lambda: "cannot be used as it is" in told.read_text(), "the warning")
    assert worker.poll() is None
    client.execute_command("ACL SETUSER default +brpop")
    client.close()
    assert seconds_to_start(sqlite_studio, sqlite_studio.launch()) < 60


def test_runs_whose_messages_were_lost_follow_each_other_without_a_wait_for_the_next_look(
    sqlite_studio,
):
    for name, value in stand_in.SETTINGS.items():
        sqlite_studio.environment[f"CAAT_{name.upper()}"] = str(value)
    sqlite_studio.environment |= {"CAAT_SWEEP_SECONDS": "600", "CAAT_RESEND_AFTER_SECONDS": "600"}
    stand_in.put_in(sqlite_studio)
    sqlite_studio.start_broker()
    runs = {sqlite_studio.queue() for _ in range(3)}
    with sqlite_studio.database.write() as session:
        transitions.take_unsent(session, 0)  # they count as sent
    sqlite_studio.start_worker()
    sqlite_studio.wait_for(lambda: stand_in.started(sqlite_studio).keys() >= runs, "three starts")
    assert [len(times) for times in stand_in.started(sqlite_studio).values()] == [1, 1, 1]


def test_a_message_to_a_broker_that_refuses_is_given_up_within_seconds():
    began = time.monotonic()
    with (
        celery_app.connection_for_write("redis://127.0.0.1:1/0") as connection,
        pytest.raises(OperationalError),
    ):
        celery_app.send_task(TASK, args=["0" * 32], connection=connection, retry=False)
    assert time.monotonic() - began < 3  # kombu would try for six


def test_stored_messages_that_the_broker_cannot_read_are_set_aside_and_said_once(
    data_dir, monkeypatch, capsys
):
    monkeypatch.setenv("CAAT_DATA_DIR", str(data_dir))
    settings.cache_clear()
    stored = data_dir / "broker" / "appendonlydir"
    stored.mkdir(parents=True)
    (stored / "appendonly.aof.manifest").write_text("not a manifest\n")
    child = Broker()
    child.start()
    try:
        deadline = time.monotonic() + 20
        while not broker.is_up(settings().broker_url):
            assert time.monotonic() < deadline
            child.keep_alive()
            time.sleep(0.1)
        for _ in range(20):
            child.keep_alive()
    finally:
        child.stop()
        settings.cache_clear()
    (damaged,) = (data_dir / "broker").glob("appendonlydir.damaged-*")
    assert (damaged / "appendonly.aof.manifest").read_text() == "not a manifest\n"
    told = capsys.readouterr().err
    assert told.count("set aside") == len(told.splitlines()) == 1


def test_what_ends_again_and_again_is_started_at_growing_pauses(capsys):
    child = Child("worker", lambda: ["true"], pause=0.01)
    child.start()
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        child.keep_alive()
        time.sleep(0.01)
    child.stop()
    starts = capsys.readouterr().err.count("starting it again")
    assert 2 <= starts <= 9  # 0.02 + 0.04 + ... seconds


def test_celerys_own_commands_find_the_app_and_nothing_else_under_its_name():
    assert tasks.celery is celery_app
    with pytest.raises(AttributeError, match="module 'tasks' has no attribute 'celeri'"):
        _ = tasks.celeri
