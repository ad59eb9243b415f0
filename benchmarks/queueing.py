"""How fast work gets to workers, what they cost while there is none, and how many can share it.

    python benchmarks/queueing.py runs       20 equal short runs by one worker and by two
    python benchmarks/queueing.py start      from launch to the first step, cold and warm
    python benchmarks/queueing.py idle       what an idle worker costs, on PostgreSQL
    python benchmarks/queueing.py slots [--jobs 10000]
                                             stand-ins of a second each: 64 slots in 4 processes on
                                             PostgreSQL, 8 in one on SQLite, both with Redis

Nothing else may run beside it. A slot of the last one does what a worker's does, by the same
statements and messages, without a process a job: it takes a message, asks the table which run is
next, claims it, renews its lease once, and ends it.
"""

import argparse
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import redis
from sqlalchemy import create_engine, func, select, text

# A benchmark beside this file is called like a package, and its folder is first on the path.
HERE = Path(__file__).resolve().parent
sys.path = [str(HERE.parent), *(entry for entry in sys.path if Path(entry).resolve() != HERE)]

from db.models import Attempt, Run, RunStatus
from db.reads.placement import joined, next_ticket
from db.session import Database
from db.settings import sqlite_url
from db.workers import WorkerReport, upsert_worker
from db.writes import transitions
from db.writes.transitions import NewRun, WorkerIdentity
from tasks.queue.message import run_of, task_id, task_id_in
from tasks.queue.messages import Waiting, key_of
from tests.real import servers
from tests.real.studio import Studio

SHORT = ("training.epochs=8", "data.train_size=1000")
LEASE = 60.0
PROCESSES = {"postgresql": 4, "sqlite": 1}
SLOTS = {"postgresql": 16, "sqlite": 8}
"""In each process."""
SHIPPED = ("sweep_seconds", "heartbeat_seconds", "resend_after_seconds", "retry_after_seconds")


@contextmanager
def studio(kind: str = "sqlite", **changed: float) -> Iterator[Studio]:
    """Give an installation with a broker and the settings that it ships with."""
    from tests.real.studio import shipped

    with (
        tempfile.TemporaryDirectory(prefix="caat-") as name,
        servers.postgresql() as server,
        servers.new_database(server) as new,
    ):
        on_disk = sqlite_url(Path(name) / "caat.db")
        url = on_disk if kind == "sqlite" else new.render_as_string(hide_password=False)
        database = Database(url)
        database.upgrade()
        made = Studio(Path(name), database, **(shipped(*SHIPPED) | changed))
        made.environment["OMP_NUM_THREADS"] = "1"
        made.start_broker()
        try:
            yield made
        finally:
            made.close()
            database.dispose()


# -- real runs


def seconds_for(number: int, num_workers: int) -> float:
    """Return how long equal runs take from the start of the first to the end of the last.

    All wait before the first worker starts, and nobody looks more than once a second: what this
    process and its commands take would be missing where the workers fill every core.
    """

    def are_done() -> bool:
        time.sleep(1)
        return _num(made, RunStatus.SUCCEEDED) == number

    with studio() as made:
        for _ in range(number):
            made.launch(*SHORT)
        for _ in range(num_workers):
            made.start_worker()
        made.wait_for(are_done, "their end", 1800)
        with made.database.read() as session:
            first, last = session.execute(
                select(func.min(Run.started_at), func.max(Run.ended_at))
            ).one()
        return (last - first).total_seconds()


def _idle(made: Studio) -> list[str]:
    from db.reads import queries

    with made.database.read() as session:
        return [row.id for row in queries.workers(session) if row.state == "idle"]


def _num(made: Studio, status: RunStatus) -> int:
    with made.database.read() as session:
        counted = select(func.count()).select_from(Run).where(Run.status == status)
        return session.execute(counted).scalar_one()


def runs(number: int) -> None:
    """Print how much faster two workers are than one."""
    one, two = seconds_for(number, 1), seconds_for(number, 2)
    print(f"| {number} equal runs | one worker {one:.1f} s | two {two:.1f} s | {one / two:.2f} |")


def start(rounds: int) -> None:
    """Print the time from a launch to the first step, beside that of loading a trainer."""
    loads = [_loading() for _ in range(rounds)]
    print(f"| loading alone | {statistics.median(loads):.2f} s |")
    for title, minutes in (("cold", 0), ("warm", 30)):
        with studio(warm_minutes=minutes) as made:
            made.start_worker()
            made.wait_for(lambda made=made: len(_idle(made)) == 1, "the worker")
            found = []
            for _ in range(rounds):
                time.sleep(8)  # a spare has loaded by then
                found.append(_to_first_step(made))
        print(f"| launch to first step, {title} | {statistics.median(found):.2f} s |", flush=True)


def _loading() -> float:
    began = time.monotonic()
    words = [sys.executable, "-c", "from tasks.trainer import load; load()"]
    subprocess.run(words, cwd=HERE.parent, check=True)
    return time.monotonic() - began


def _to_first_step(made: Studio) -> float:
    run_id = made.queue("training.epochs=60")
    began = time.monotonic()
    with redis.Redis(unix_socket_path=str(made.socket)) as client:
        one = Waiting(task_id(run_id, 1), "default")
        client.lpush(one.key, one.entry)
    made.wait_for(lambda: _step(made, run_id) > 0, "the first step")
    seconds = time.monotonic() - began
    made.caat("stop", run_id)
    made.wait_for_status(run_id, "cancelled")
    return seconds


def _step(made: Studio, run_id: str) -> int:
    with made.database.read() as session:
        step = select(func.max(Attempt.step)).where(Attempt.run_id == run_id)
        return session.execute(step).scalar() or 0


def idle(seconds: float) -> None:
    """Print what an idle worker costs: statements, processor, memory."""
    with studio("postgresql") as made:
        worker = psutil.Process(made.start_worker().pid)
        made.wait_for(lambda: len(_idle(made)) == 1, "the worker")
        time.sleep(15)
        log = _log_of_every_statement(made)
        before, used = len(log.read_text()), worker.cpu_times()
        time.sleep(seconds)
        told, now = log.read_text()[before:], worker.cpu_times()
        busy = (now.user + now.system - used.user - used.system) / seconds
        memory = worker.memory_info().rss / 2**20
    number = len(re.findall(r"LOG: +(?:statement|execute [^:]*): [A-Z]+", told))
    around = len(re.findall(r"LOG: +statement: (?:BEGIN|COMMIT|ROLLBACK)", told))
    print(
        f"| idle worker | {(number - around) / seconds:.2f} statements a second | "
        f"{busy:.1%} of a core | {memory:.0f} MiB |"
    )


def _log_of_every_statement(made: Studio) -> Path:
    """Have the server, which serves nobody else, log its statements; return the log."""
    with made.database.read() as session:
        folder = session.execute(text("SHOW data_directory")).scalar_one()
    engine = create_engine(made.database.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("ALTER SYSTEM SET log_statement = 'all'"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()
    time.sleep(1)
    return Path(folder).parent / "log"


# -- stand-ins


def slots(number: int) -> None:
    """Print how long free slots wait for their next job, and what the database takes."""
    for kind, jobs in (("postgresql", number), ("sqlite", number // 10)):
        with studio(kind) as made:
            _fill(made, jobs)
            url = made.database.url.render_as_string(hide_password=False)
            began, used = time.monotonic(), _server_seconds()
            with multiprocessing.get_context("spawn").Pool(PROCESSES[kind]) as pool:
                arguments = [
                    (url, str(made.socket), SLOTS[kind], n) for n in range(PROCESSES[kind])
                ]
                found = pool.starmap(_process, arguments)
            seconds = time.monotonic() - began
            cores = (_server_seconds() - used) / seconds
            done = _num(made, RunStatus.SUCCEEDED)
            with made.database.read() as session:
                attempts = session.execute(select(func.count()).select_from(Attempt)).scalar_one()
        waits = sorted(wait for part in found for wait in part)
        p95 = waits[int(0.95 * len(waits))]
        print(
            f"| {kind}, {PROCESSES[kind] * SLOTS[kind]} slots | {done:,} of {jobs:,} jobs in "
            f"{seconds:.0f} s, {attempts - done} more claims than jobs | free slot to claim: "
            f"median {statistics.median(waits):.3f} s, p95 {p95:.3f} s | database server "
            f"{cores:.2f} cores |",
            flush=True,
        )


def _fill(made: Studio, jobs: int) -> None:
    new = NewRun("job", {}, "0" * 64, "standard", "digits", 0, 1)
    waiting = []
    for begin in range(0, jobs, 500):
        with made.database.write() as session:
            for place in range(begin, min(begin + 500, jobs)):
                owned = NewRun(**{**vars(new), "owner": f"owner-{place % 5}"})
                run_id, _ = transitions.create_run(session, owned, "benchmark")
                waiting.append(Waiting(task_id(run_id, 1), "default"))
    with redis.Redis(unix_socket_path=str(made.socket)) as client:
        for one in waiting:
            client.lpush(one.key, one.entry)


def _server_seconds() -> float:
    """Return what the processes of PostgreSQL servers here, living and gone, have used."""
    total = 0.0
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "postgres":
            try:
                used = process.cpu_times()
            except psutil.Error:
                continue
            total += used.user + used.system + used.children_user + used.children_system
    return total


def _process(url: str, socket: str, num_slots: int, number: int) -> list[float]:
    database = Database(url)
    me = WorkerIdentity(f"stand-in-{number}", "host", "boot", os.getpid(), "cpu")
    report = WorkerReport(
        id=me.id, host=me.host, pid=me.pid, device="cpu", device_name="", version="1",
        queues=joined(("default", "cpu")), datasets=joined(("digits",)),
    )  # fmt: skip
    with database.write() as session:
        upsert_worker(session, report)
    waits: list[float] = []
    threads = [
        threading.Thread(target=_slot, args=(database, socket, me, waits)) for _ in range(num_slots)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.dispose()
    return waits


def _slot(database: Database, socket: str, me: WorkerIdentity, waits: list[float]) -> None:
    """Do one job after the other, until no message has come for a while."""
    with redis.Redis(unix_socket_path=socket) as client:
        free_at, was_late = time.monotonic(), False
        while popped := client.brpop([key_of("default")], timeout=3):
            claim = _claimed(database, client, me, popped[1], was_late=was_late)
            was_late = claim is None
            if claim is None:
                continue
            run_id, attempt = claim
            waits.append(time.monotonic() - free_at)
            time.sleep(0.5)
            with database.write() as session:
                transitions.heartbeat(session, run_id, attempt, lease_seconds=LEASE)
            time.sleep(0.5)
            with database.write() as session:
                transitions.finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)
            free_at = time.monotonic()


def _claimed(
    database: Database,
    client: "redis.Redis",
    me: WorkerIdentity,
    entry: bytes,
    *,
    was_late: bool,
) -> tuple[str, int] | None:
    """Claim the run that is next, in the place of the message's if that is another one."""
    offered, _ = run_of(task_id_in(entry))
    with database.read() as session:
        ticket = next_ticket(session, me.id, offered=offered, was_late=was_late)
    if ticket is None:
        return None
    if ticket.run_id != offered:
        client.rpush(key_of("default"), entry)
        other = Waiting(task_id(ticket.run_id, ticket.times_queued), ticket.queue)
        client.lrem(other.key, 0, other.entry)
    with database.write() as session:
        attempt = transitions.claim(session, ticket.run_id, me, lease_seconds=LEASE)
    return None if attempt is None else (ticket.run_id, attempt)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("what", choices=["runs", "start", "idle", "slots"], nargs="+")
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--jobs", type=int, default=10_000)
    chosen = options.parse_args()
    measures: dict[str, Callable[[], None]] = {
        "runs": lambda: runs(chosen.runs),
        "start": lambda: start(chosen.rounds),
        "idle": lambda: idle(chosen.seconds),
        "slots": lambda: slots(chosen.jobs),
    }
    for what in chosen.what:
        measures[what]()


if __name__ == "__main__":
    main()
