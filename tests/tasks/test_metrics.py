"""`caat metrics`: what Prometheus is told, and that nothing but numbers ever comes of it."""

import http.client
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, event, insert, update

from app.server.metrics import FromDatabase
from db.models import Attempt, Run, RunStatus, Worker
from db.session import Database
from db.workers import WorkerReport, upsert_worker
from tasks.settings import open_database
from tests.app.browser import free_port
from tests.real import servers
from tests.real.studio import CAAT, Studio

Samples = dict[str, dict[tuple[str, ...], float]]
WORKER = {"host": "lab", "pid": 7, "device": "cuda:0", "device_name": "a GPU", "version": "1"}


def scrape(port: int) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except ConnectionRefusedError:
        return 0, ""
    finally:
        connection.close()


def samples(text: str) -> Samples:
    """Return what a scrape holds: name -> values of the labels, in their order -> number."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            place = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[place] = sample.value
    return found


def collected(collector: FromDatabase) -> Samples:
    found: Samples = {}
    for family in collector.collect():
        for sample in family.samples:
            place = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[place] = sample.value
    return found


@pytest.fixture
def port() -> int:
    return free_port()


def start(studio: Studio, port: int) -> "subprocess.Popen[bytes]":
    process = studio.start(*CAAT, "metrics", "--port", str(port))
    studio.wait_for(lambda: scrape(port)[0] == 200, "the metrics")
    return process


def test_a_real_worker_and_its_run_are_told_to_prometheus(sqlite_studio, port):
    studio = sqlite_studio
    process = start(studio, port)
    assert samples(scrape(port)[1])["caat_database_up"] == {(): 1}
    run_id = studio.queue("training.epochs=400")
    studio.queue("training.epochs=400")
    studio.start_worker()
    studio.wait_for_epoch(run_id, 1)
    studio.wait_for(
        lambda: 1 in samples(scrape(port)[1]).get("caat_worker_busy", {}).values(), "a busy worker"
    )
    told = samples(scrape(port)[1])
    assert told["caat_queue_length"] == {("default",): 1, ("cpu",): 0}
    assert told["caat_queue_oldest_seconds"][("default",)] > 0
    assert told["caat_runs"] == {("training", "running"): 1, ("training", "queued"): 1}
    assert told["caat_attempts_lost_total"] == {(): 0}
    assert told["caat_epoch_seconds"].keys() == {("digits", "cpu", "caat", run_id)}
    assert told["caat_epoch_seconds"].popitem()[1] > 0
    assert list(told["caat_worker_up"].values()) == [1]
    (used,) = told["caat_device_memory_used_bytes"].values()
    (total,) = told["caat_device_memory_total_bytes"].values()
    assert 0 < used < total
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert "Traceback" not in studio.output()


@pytest.fixture
def own_server() -> Iterator[servers.Server]:
    with servers.own_postgresql() as server:
        yield server


def test_while_the_database_is_away_a_scrape_says_so_and_nothing_else(data_dir, own_server, port):
    with servers.new_database(own_server.url) as url:
        database = Database(url.render_as_string(hide_password=False))
        database.upgrade()
        studio = Studio(data_dir, database)
        try:
            start(studio, port)
            own_server.stop()
            for _ in range(2):
                status, text = scrape(port)
                assert (status, samples(text)) == (200, {"caat_database_up": {(): 0}})
            own_server.start()
            studio.wait_for(
                lambda: samples(scrape(port)[1])["caat_database_up"] == {(): 1}, "its return"
            )
            said = studio.output()
            assert said.count("answering caat_database_up 0\n") == 1
            assert "Traceback" not in said
        finally:
            studio.close()
            database.dispose()


def test_a_file_that_is_no_database_is_told_as_one_that_is_away(sqlite_studio, port):
    studio = sqlite_studio
    studio.database.dispose()
    (studio.folder / "caat.db").write_bytes(b"no database at all" * 1000)
    start(studio, port)
    assert samples(scrape(port)[1]) == {"caat_database_up": {(): 0}}
    assert "Traceback" not in studio.output()


def test_a_port_that_is_taken_and_an_address_that_is_not_here_are_one_line(sqlite_studio, port):
    start(sqlite_studio, port)
    wrong = {
        ("--port", str(port)): f"caat: --port: cannot listen at 127.0.0.1, port {port}: ",
        ("--port", str(free_port()), "--address", "no.such.host.invalid"): "caat: --address: 'no.s",
        ("--port", str(free_port()), "--address", "192.0.2.1"): "caat: --port: cannot listen at 19",
        ("--port", "0"): "caat: Invalid value for '--port'",
    }
    for words, line in wrong.items():
        done = sqlite_studio.caat("metrics", *words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert done.stderr.startswith(line)


def test_a_scrape_takes_a_few_statements_among_five_thousand_runs(studio):
    known = {"scenario": {"a": "b" * 1000}, "scenario_digest": "0" * 64, "method": "caat"}
    known |= {"name": "run", "dataset": "digits", "seed": 0, "num_epochs": 5}
    with studio.database.write() as session:
        rows = [known | {"status": status} for status in RunStatus for _ in range(625)]
        session.execute(insert(Run), rows)
    collector = FromDatabase()
    collected(collector)
    statements: list[str] = []
    with open_database().read() as session:
        engine = session.get_bind()
        event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    statements.clear()
    assert collected(collector)["caat_runs"][("training", "succeeded")] == 625
    assert len([text for text in statements if not text.startswith("BEGIN")]) == 8


def test_two_workers_of_a_device_tell_of_it_once_and_a_silent_one_is_down(studio):
    with studio.database.write() as session:
        for name, used in (("old", 1), ("a", 3), ("b", 5), ("c", 7)):
            use = {"memory_used": used, "memory_total": 8, "utilisation": 0.25}
            upsert_worker(session, WorkerReport(**({"id": name} | WORKER | use)))
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        changes = {
            "old": {"last_seen": hour_ago},
            "b": {"last_seen": hour_ago + timedelta(minutes=59.9)},
            "c": {"state": "busy", "device": '"\n\x1b[31m'},
        }
        for name, values in changes.items():
            session.execute(update(Worker).where(Worker.id == name).values(**values))
    told = collected(FromDatabase())
    assert told["caat_device_memory_used_bytes"][("cuda:0", "lab", "a GPU")] == 3
    assert told["caat_device_utilisation_ratio"][("cuda:0", "lab", "a GPU")] == 0.25
    assert told["caat_worker_busy"][("cuda:0", "lab", "a")] == 0
    assert told["caat_worker_up"][("cuda:0", "lab", "a")] == 1
    assert told["caat_worker_up"][("cuda:0", "lab", "old")] == 0
    ((device, *_),) = [place for place, busy in told["caat_worker_busy"].items() if busy]
    assert "\x1b" not in device
    assert "\n" not in device


def test_the_lost_attempts_that_were_told_only_grow_when_runs_are_deleted(studio):
    run_ids = [studio.queue() for _ in range(3)]
    hold = {"worker_id": "w", "host": "h", "boot_id": "b", "pid": 1, "device": "cpu"}

    def lose(run_id: str) -> None:
        with studio.database.write() as session:
            attempt = {"run_id": run_id, "number": 1, "outcome": "lost"} | hold
            session.execute(insert(Attempt), [attempt | {"lease_until": datetime.now(UTC)}])

    collector = FromDatabase()
    for run_id in run_ids[:2]:
        lose(run_id)
    assert collected(collector)["caat_attempts_lost_total"] == {(): 2}
    with studio.database.write() as session:
        session.execute(delete(Run).where(Run.id == run_ids[0]))
    assert collected(collector)["caat_attempts_lost_total"] == {(): 2}
    lose(run_ids[2])
    assert collected(collector)["caat_attempts_lost_total"] == {(): 3}
