"""Runs and workers for the tests of the database."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from db.models import Worker
from db.session import Database
from db.workers import WorkerReport, upsert_worker
from db.writes.transitions import NewRun, WorkerIdentity, claim, create_run

WORKER = WorkerIdentity("worker-1", "host-1", "boot-1", 4242, "cpu")


@pytest.fixture
def worker() -> WorkerIdentity:
    return WORKER


@pytest.fixture
def new_run() -> Callable[..., NewRun]:
    """Makes what is submitted, with some fields of one's own."""

    def make(**fields: object) -> NewRun:
        known = {
            "name": "digits, noisy",
            "scenario": {"seed": 0, "method": {"name": "caat"}},
            "scenario_digest": "0" * 64,
            "method": "caat",
            "dataset": "digits",
            "seed": 0,
            "num_epochs": 5,
        }
        return NewRun(**(known | fields))

    return make


@pytest.fixture
def queued(new_run: Callable[..., NewRun]) -> Callable[..., str]:
    """Queues a run and returns its id."""

    def queue(database: Database, **fields: object) -> str:
        with database.write() as session:
            run_id, _ = create_run(session, new_run(**fields), "tester")
        return run_id

    return queue


@pytest.fixture
def running(queued: Callable[..., str]) -> Callable[..., tuple[str, int]]:
    """Queues a run, claims it and returns its id and its attempt."""

    def start(database: Database, lease_seconds: float = 60, **fields: object) -> tuple[str, int]:
        run_id = queued(database, **fields)
        with database.write() as session:
            attempt = claim(session, run_id, WORKER, lease_seconds=lease_seconds)
        assert attempt == 1
        return run_id, attempt

    return start


@pytest.fixture
def offers() -> Callable[..., str]:
    """Has a worker report what it offers, and returns its id."""

    def report(database: Database, worker_id: str = WORKER.id, **fields: object) -> str:
        said = {"queues": ",default,cpu,", "datasets": ",digits,", "state": "idle"} | fields
        columns = {"host": "host-1", "pid": 1, "device": "cpu", "device_name": "a processor"}
        memory = said.pop("memory_total", None)
        with database.write() as session:
            upsert_worker(session, WorkerReport(id=worker_id, version="1", **columns, **said))
            session.execute(
                update(Worker).where(Worker.id == worker_id).values(memory_total=memory)
            )
        return worker_id

    return report
