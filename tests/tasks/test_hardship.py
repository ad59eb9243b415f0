"""A run whose database, dataset, machine or program is not what it was."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from app.scenario.toml_in import read_scenario
from db.connection import BUSY_TIMEOUT_MS, sqlite_writer
from db.errors import DatabaseUnreachableError
from db.reads import queries, series
from db.reads.rows import Holder
from db.session import Database
from db.writes import records, transitions
from tasks.processes import lock
from tasks.processes.host import identity
from tasks.queue.submit import submit
from tasks.recording.exactness import differences, label
from tasks.settings import settings
from tasks.worker import housekeeping, leftover_files
from tasks.worker.supervise import run_attempt
from tasks.worker.task import train_run


def launch(studio, *changes: str) -> str:
    return submit(read_scenario(studio.scenario, list(changes)), actor="tester").run_id


@contextmanager
def away(database: Database) -> Iterator[None]:
    """The database answers nobody meanwhile: locked, or every connection ended and refused."""
    if database.is_sqlite:
        engine = sqlite_writer(database.url)
        with engine.begin():  # takes the write lock
            yield
        engine.dispose()
        return
    name = database.url.database
    server = create_engine(
        database.url.set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    with server.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(text(end), {"name": name})
        yield
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))


def meanwhile(act: Callable[[], None]) -> AbstractContextManager[None]:
    """Do something in a thread of its own, and be sure that it was done."""

    @contextmanager
    def running() -> Iterator[None]:
        thread = threading.Thread(target=act)
        thread.start()
        yield
        thread.join()

    return running()


def test_an_outage_in_training_and_at_its_end_costs_neither_the_run_nor_a_number(studio):
    undisturbed = launch(studio)
    run_attempt(studio.database, undisturbed)
    waits = BUSY_TIMEOUT_MS / 1000 if studio.database.is_sqlite else 0
    seconds = waits + 3  # longer than anybody waits for a lock

    def disturb() -> None:
        studio.wait_for_epoch(run_id, 1)
        with away(studio.database):
            time.sleep(seconds)

    run_id = launch(studio)
    with meanwhile(disturb):
        run_attempt(studio.database, run_id)
    run = studio.run(run_id)
    assert (run.status, run.attempt) == ("succeeded", 1)
    with studio.database.read() as session:
        one, two = (series.metrics(session, found) for found in (run_id, undisturbed))
    assert one.equals(two)
    assert len(one) > 20


@pytest.mark.parametrize("studio", ["postgresql"], indirect=True)
def test_an_end_that_cannot_be_written_before_the_lease_is_over_raises_nothing(studio):
    settings().lease_seconds = 8
    run_id = launch(studio, "training.epochs=500")

    def disturb() -> None:
        studio.wait_for_epoch(run_id, 1)
        with away(studio.database):
            studio.wait_for(lambda: not studio.trainers(run_id), "the trainer's end")
            time.sleep(1)

    with meanwhile(disturb):
        assert run_attempt(studio.database, run_id)
    assert studio.run(run_id).status in ("running", "interrupted")


@pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
def test_a_dataset_that_changed_since_launch_is_refused_before_anything_is_trained(studio):
    run_id = launch(studio)
    with studio.database.write() as session:
        session.execute(text("UPDATE run SET data_digest = :d"), {"d": "abcd1234" * 8})
    now = studio.run(launch(studio)).data_digest[:8]
    run_attempt(studio.database, run_id)
    run = studio.run(run_id)
    assert (run.status, run.reason, run.epoch, run.facts) == ("failed", "input", 0, None)
    told = f"Dataset digits has changed since launch (fingerprint abcd1234, now {now})"
    assert run.message == told


def test_a_dataset_that_is_gone_since_launch_is_named(sqlite_studio, monkeypatch, tmp_path):
    run_id = None
    for name, value in sqlite_studio.environment.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'tasks.trainer' in getattr(sys, 'orig_argv', []):\n"
        "    from engine.data.datasets.base import datasets\n"
        "    from engine.errors import UserError\n"
        "    def ensure(self, folder):\n"
        "        raise UserError('no network')\n"
        "    type(datasets()['digits']).ensure = ensure\n"
    )
    run_id = launch(sqlite_studio)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    run_attempt(sqlite_studio.database, run_id)
    run = sqlite_studio.run(run_id)
    assert (run.status, run.message) == ("failed", "Dataset digits is missing: no network")
    settings.cache_clear()


def test_a_run_resumed_under_other_conditions_goes_on_and_stays_labelled(sqlite_studio):
    """Epoch 1 on this processor's best instructions, the rest on the plainest, then one more."""
    sqlite_studio.start_worker()
    run_id = sqlite_studio.launch("training.epochs=500")
    sqlite_studio.wait_for_epoch(run_id, 1)
    first = sqlite_studio.run(run_id).facts
    for number in (2, 3):
        sqlite_studio.environment["ATEN_CPU_CAPABILITY"] = "default"
        sqlite_studio.processes[-1].kill()
        sqlite_studio.processes[-1].wait()
        sqlite_studio.start_worker()
        sqlite_studio.wait_for(lambda n=number: sqlite_studio.run(run_id).attempt == n, "a resume")
        epoch = sqlite_studio.run(run_id).epoch
        sqlite_studio.wait_for_epoch(run_id, epoch + 1)
    facts = sqlite_studio.run(run_id).facts
    differs = [f"CPU capability {first['cpu_capability']} -> {facts['cpu_capability']}"]
    assert facts["not_exact"] == differs
    with sqlite_studio.database.read() as session:
        events = queries.events(session, run_id)
    told = [event.message for event in events if event.reason == "not_exact"]
    assert told == [f"Resumed, not bit-exact ({differs[0]})"]


def test_what_differs_is_named_and_what_is_equal_or_unknown_is_not():
    before = {"num_threads": 2, "device": "cpu", "versions": {"torch": "2.12", "numpy": "2.3"}}
    now = {"num_threads": 4, "device": "cpu", "versions": {"torch": "2.13", "numpy": "2.4"}}
    found = differences(before, now | {"precision": "bf16"})
    assert found == ["threads 2 -> 4", "torch 2.12 -> 2.13"]
    assert label(found) == "Resumed, not bit-exact (threads 2 -> 4, torch 2.12 -> 2.13)"
    assert differences({}, now) == differences(now, now) == []


def test_what_a_worker_holds_is_its_own_and_stands_in_its_row(studio):
    holder, other = housekeeping.Presence(), housekeeping.Presence()
    holder.run_id = "a" * 32
    told = []
    for presence in (holder, other):
        presence.report()
        with studio.database.read() as session:
            (row,) = queries.workers(session)
        told.append(row.state)
    assert told == ["busy", "idle"]


def test_a_worker_older_than_the_database_stays_idle_and_says_so_once(studio, caplog, monkeypatch):
    presence = housekeeping.Presence()
    monkeypatch.setattr(train_run, "presence", presence)
    run_id = launch(studio)
    head = studio.database.head_revision()
    with studio.database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with caplog.at_level(logging.WARNING, "tasks.worker.housekeeping"):
        told = [train_run.apply([run_id], task_id=f"{run_id}.1").state for _ in range(2)]
    assert told == ["IGNORED", "IGNORED"]
    presence.report()
    with studio.database.read() as session:
        (row,) = queries.workers(session)
    assert (row.state, row.revision) == ("idle", head)  # for the page of the newer program
    (told,) = [line for line in caplog.messages if line.startswith("worker on host ")]
    assert told.endswith(f" is older than the database (rev {head} < 9999): upgrade it")
    assert studio.run(run_id).attempt == 0


def test_a_trainer_that_hangs_is_told_from_one_that_gets_on_and_stop_ends_it(sqlite_studio):
    sqlite_studio.environment["CAAT_STOP_GRACE_SECONDS"] = "1"
    sqlite_studio.start_worker()
    run_id = sqlite_studio.launch("training.epochs=500")
    sqlite_studio.wait_for_epoch(run_id, 1)
    (trainer,) = sqlite_studio.trainers(run_id)
    with sqlite_studio.database.write():  # so that it does not hang with the lock in its hands
        trainer.send_signal(signal.SIGSTOP)
    still = sqlite_studio.run(run_id).seconds_still
    time.sleep(2)
    run = sqlite_studio.run(run_id)
    assert run.status == "running"  # its supervisor lives, and renews the lease
    assert run.seconds_still > still + 1.5
    assert "Stopping" in sqlite_studio.caat("stop", run_id).stdout
    assert sqlite_studio.wait_for_status(run_id, "cancelled").message == "Stopped"
    assert sqlite_studio.run(run_id).seconds_still is None


def test_old_leftover_files_of_known_runs_are_deleted_and_nothing_else(studio):
    run_id = launch(studio)
    folder, other = (settings().run_dir(name) for name in (run_id, "f" * 32))
    settings().run_dir("0" * 32).mkdir(parents=True)  # looked at first, and nothing is in it
    kept, leftover, temporary, young = (
        folder / name
        for name in ("e000001-a01-k.safetensors", "e000001-a02-s.safetensors", "a.tmp", "b.tmp")
    )
    foreign = other / "e000001-a01-x.safetensors"
    for path in (kept, leftover, temporary, young, foreign, folder / "log.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        if path is not young:
            os.utime(path, (1, 1))
    with studio.database.write() as session:
        place = str(kept.relative_to(studio.folder))
        records.write_checkpoint(session, run_id, 1, epoch=1, path=place, size=1, sha256="0" * 64)
    assert leftover_files.delete_leftover_files(studio.database) == 2
    assert not leftover.exists()
    assert not temporary.exists()
    assert all(path.exists() for path in (kept, young, foreign, folder / "log.txt"))


@pytest.mark.parametrize("by", ["its lock", "its status"])
def test_files_of_a_run_at_work_are_no_leftovers_however_old_a_clock_takes_them_for(studio, by):
    run_id = launch(studio)
    temporary = settings().run_dir(run_id) / "e000001-a01-x.tmp"
    temporary.parent.mkdir(parents=True)
    temporary.write_bytes(b"being written")
    os.utime(temporary, (1, 1))  # as a clock that is years ahead sees it
    if by == "its lock":
        with lock.held(settings().run_dir(run_id)):
            assert leftover_files.delete_leftover_files(studio.database) == 0
    else:
        with studio.database.write() as session:
            assert transitions.claim(session, run_id, identity(), lease_seconds=60) == 1
        assert leftover_files.delete_leftover_files(studio.database) == 0
        with studio.database.write() as session:
            assert transitions.interrupt(session, run_id, 1, reason="lost", message=None)
    assert temporary.exists()
    assert leftover_files.delete_leftover_files(studio.database) == 1


def test_an_epoch_done_again_with_other_numbers_is_noticed(studio):
    run_id = launch(studio)
    row = records.MetricRow("validation", "robust_error", 7, 1, 0.5)
    other = records.MetricRow("validation", "robust_error", 7, 1, 0.5000001)
    with studio.database.write() as session:
        records.write_metrics(session, run_id, 1, rows=[row])
        assert records.changed_since(session, run_id, 2, rows=[row]) == []
        assert records.changed_since(session, run_id, 1, rows=[other]) == []  # its own
        assert records.changed_since(session, run_id, 2, rows=[other]) == ["robust_error"]


def test_a_database_that_is_away_while_a_worker_rests_is_told_and_waited_for(
    studio, caplog, monkeypatch
):
    presence, told = housekeeping.Presence(), []

    def away(_: Database) -> list[Holder]:
        told.append(1)
        if len(told) == 1:
            raise DatabaseUnreachableError("gone for lunch")
        housekeeping.done.set()
        return []

    monkeypatch.setattr(housekeeping, "lost", away)
    monkeypatch.setattr(housekeeping, "done", threading.Event())
    monkeypatch.setattr(housekeeping, "LOST_CHECK_SECONDS", 0.01)
    with caplog.at_level(logging.WARNING, "tasks.worker.housekeeping"):
        presence._rest(time.monotonic() + 60)
    assert len(told) == 2
    assert "gone for lunch; trying again" in caplog.messages


def test_a_worker_reports_and_sweeps_until_it_is_done_and_takes_leave_once(monkeypatch):
    presence, did, done = housekeeping.Presence(), [], threading.Event()

    def rest(until: float) -> None:
        did.append("rest")
        if did.count("rest") == 2:
            done.set()

    monkeypatch.setattr(housekeeping, "done", done)
    monkeypatch.setattr(presence, "report", lambda: did.append("report"))
    monkeypatch.setattr(presence, "_sweep", lambda: did.append("sweep"))
    monkeypatch.setattr(presence, "_rest", rest)
    monkeypatch.setattr(housekeeping, "delete_leftover_files", lambda database: None)
    monkeypatch.setattr(housekeeping, "open_database", lambda: None)
    monkeypatch.setattr(housekeeping, "_leave", lambda: did.append("leave"))
    presence.report_and_sweep()
    assert did == [*2 * ["report", "sweep", "rest"], "leave"]
