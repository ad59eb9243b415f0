"""The database is away while runs are trained, three times.

SQLite: another connection holds the file by BEGIN EXCLUSIVE. PostgreSQL: a server of its own is
stopped at once and started again. Four workers; the lease is as long as the outage, as it is by
default. A part has shorter outages and leases. No run may fail, and each must end with what an
undisturbed run of its scenario has.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy.engine import make_url

from db import connection as engines
from db.session import Database
from tests.faults.frame import Figure, Plan, opened
from tests.faults.traces import ended_like
from tests.real import servers
from tests.real.studio import Studio

TITLE = "A database that is away"

FULL_RUNS, FULL_OUTAGES, FULL_SECONDS, LEAST_SECONDS, WORKERS = 20, 3, 30, 3.0, 4
EPOCHS = 15


def measure(plan: Plan) -> list[Figure]:
    """Train through outages, and compare."""
    seconds = max(LEAST_SECONDS, FULL_SECONDS * plan.share)
    runs, times = plan.count(FULL_RUNS, 2), plan.count(FULL_OUTAGES)
    rng = random.Random(f"{plan.seed} {plan.kind}")
    with _breakable(plan) as (own, breaks), opened(own, lease_seconds=seconds) as studio:
        studio.start_broker()
        for _ in range(min(WORKERS, runs)):
            studio.start_worker()
        queued = [studio.queue(f"training.epochs={EPOCHS}") for _ in range(runs)]
        for number in range(times):
            _wait_for_run_in_work(studio, queued)
            time.sleep(rng.uniform(0, 3))
            breaks(seconds)
            print(f"  {number + 1} of {times} outages", flush=True)
        ended = [studio.wait_for_status(r, "succeeded", "failed", seconds=300) for r in queued]
        undisturbed = studio.queue(f"training.epochs={EPOCHS}")
        studio.wait_for_status(undisturbed, "succeeded", "failed")
        failed = sum(run.status != "succeeded" for run in ended)
        lost = sum(attempt.outcome == "lost" for run in ended for attempt in run.attempts)
        same = sum(ended_like(studio.database, run.id, undisturbed) for run in ended)
    return [
        Figure(
            f"runs that failed, {runs} runs, {times} outages of {seconds:g} s",
            "0",
            f"{failed}; {lost} attempts were lost and tried again",
            failed == 0,
        ),
        Figure(
            "runs without a missing, other or double row, against an undisturbed one",
            "all, by sha256",
            f"{same} of {runs}",
            same == runs,
        ),
    ]


def _wait_for_run_in_work(studio: Studio, queued: list[str]) -> None:
    """Wait until one has recorded an epoch and has not ended; without one there is no use."""

    def is_there() -> bool:
        runs = [studio.run(run_id) for run_id in queued]
        return any(run.epoch and run.status == "running" for run in runs)

    studio.wait_for(is_there, "a run in work")


@contextmanager
def _breakable(plan: Plan) -> Iterator[tuple[Plan, Callable[[float], None]]]:
    """Give the plan, on a database that may be taken away, and what takes it away."""
    if plan.kind == "sqlite":
        yield plan, lambda seconds: _hold(str(make_url(plan.url).database), seconds)
        return
    with servers.own_postgresql() as server, servers.new_database(server.url) as new:
        url = new.render_as_string(hide_password=False)
        Database(url).upgrade()

        def stop(seconds: float) -> None:
            server.stop()
            time.sleep(seconds)
            server.start()

        yield replace(plan, url=url), stop


def _hold(file: str, seconds: float) -> None:
    """Let nobody else write for so long."""
    connection = engines.sqlite_driver.connect(file, timeout=60, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")
    finally:
        connection.close()
