"""An owner that is stopped in the middle of what it writes, and replaced before it goes on.

It is stopped at every statement: before its transaction, between the question whether it may still
write and what it writes, and before the commit. Then its lease is over or its host's lock is free,
the reconciler takes its run, another worker claims it, and the owner goes on. Where the owner holds
a lock, the taker waits for it or comes again.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, product
from typing import Any

from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from db.models import Base, Run, RunStatus
from db.reads import queries
from db.session import Database
from db.writes import records, transitions
from db.writes.records import MetricRow
from db.writes.transitions import WorkerIdentity
from engine.training.observer import Progress
from tasks.processes import lock
from tasks.processes.host import identity
from tasks.recording.recorder import Recorder, ReplacedError
from tasks.settings import settings
from tasks.worker import reconcile
from tests.faults.apart import apart
from tests.faults.frame import Figure, Plan
from tests.faults.reports import claimed, epoch_report, final_report, queued_run, worker

TITLE = "An owner that wakes up late"
CONTROLS = 10
PATIENCE = 60.0
"""Seconds after which a thread is taken for stuck."""


def _progress(owner: Recorder) -> None:
    owner.on_progress(Progress("training", 2, 3, 5, 0.5))


def _epoch(owner: Recorder) -> None:
    owner.on_epoch(epoch_report(2))


def _finish(owner: Recorder) -> None:
    owner.on_finish(final_report(2))


def _fail(owner: Recorder) -> None:
    """As a trainer says that it failed."""
    with owner.database.write() as session:
        if not transitions.finish(
            session,
            owner.run_id,
            owner.attempt,
            status=RunStatus.FAILED,
            reason="error",
            message="on purpose",
        ):
            raise ReplacedError


def _checked_before(owner: Recorder) -> None:
    """Ask first, write later: the control."""
    mine = (Run.id == owner.run_id, Run.attempt == owner.attempt)
    with owner.database.read() as session:
        held = session.execute(select(Run.id).where(*mine)).scalar()
    if held is None:
        raise ReplacedError
    with owner.database.write() as session:
        row = MetricRow("train", "loss", 99, 2, 0.5)
        records.write_metrics(session, owner.run_id, owner.attempt, rows=[row])


WRITES: tuple[Callable[[Recorder], None], ...] = (_progress, _epoch, _finish, _fail)
"""What an owner may be at; an epoch is metrics, summaries, snapshot and checkpoint."""


class Paused:
    """A database whose next writing transaction waits at one place until it may go on.

    Place 0 is before the transaction, place n before its n-th statement, and the place after the
    last statement is before the commit; at -1 it never waits.
    """

    def __init__(self, database: Database, place: int) -> None:
        self.database, self.place = database, place
        self.reached, self.go = threading.Event(), threading.Event()
        self.passed = 0

    def read(self) -> Any:
        return self.database.read()

    @contextmanager
    def write(self) -> Iterator[Session]:
        self._pass()
        with self.database.write() as session:
            event.listen(session, "do_orm_execute", lambda _: self._pass())
            yield session
            self._pass()

    def _pass(self) -> None:
        if self.passed == self.place:
            self.reached.set()
            if not self.go.wait(PATIENCE):
                raise RuntimeError("never told to go on")
        self.passed += 1


class Asking:
    """A database that says when someone who is about to write has to wait for a locked run."""

    def __init__(self, database: Database, *, locked: bool) -> None:
        self.database, self.locked, self.asked = database, locked, threading.Event()
        self.is_sqlite = database.is_sqlite

    def read(self) -> Any:
        return self.database.read()

    def write(self) -> Any:
        self.asked.set()
        return self.database.write()

    def waits(self) -> bool:
        """Whether a writer stands before a lock; on SQLite every writer does while one writes."""
        if self.database.is_sqlite:
            return self.locked and self.asked.is_set()
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with self.database.read() as session:
            return bool(session.execute(waiting).scalar())


class Race:
    """One owner, stopped at one place of one write, and who takes its run."""

    def __init__(
        self, database: Database, who: WorkerIdentity, write: Callable[[Recorder], None], place: int
    ) -> None:
        self.database, self.write = database, write
        self.run_id = queued_run(database)
        lease = 60 if who == identity() else -1  # there the lock speaks, elsewhere the lease
        with lock.held(settings().run_dir(self.run_id)):  # as a worker does, which then died
            self.attempt = claimed(database, self.run_id, who, lease)
        self.paused = Paused(database, place)
        stopped: Any = self.paused
        self.owner = Recorder(
            stopped, self.run_id, self.attempt, scenario_digest="digest", should_stop=lambda: False
        )
        self.answer: BaseException | None = None
        self.thread = threading.Thread(target=self._own)

    def _own(self) -> None:
        try:
            self.write(self.owner)
        except BaseException as error:  # noqa: BLE001 - handed to who started the thread
            self.answer = error
        finally:
            self.paused.reached.set()

    def start(self) -> None:
        """Let the owner come to its place."""
        self.thread.start()
        self.paused.reached.wait(PATIENCE)

    def go_on(self) -> None:
        """Let the owner end what it was at."""
        self.paused.go.set()
        self.thread.join(PATIENCE)
        if self.thread.is_alive():
            raise RuntimeError(f"{self.write.__name__}: the owner is stuck")

    def take(self, database: Any) -> None:
        """Sweep, twice if the first time was too early, and claim the run if it is there."""
        for _ in range(2):
            reconcile.sweep(database)
            with self.database.write() as session:
                if transitions.claim(session, self.run_id, worker(2), lease_seconds=60) is not None:
                    return

    def status(self) -> tuple[str, int]:
        with self.database.read() as session:
            run = queries.get_run(session, self.run_id)
        assert run is not None
        return run.status.value, run.attempt

    def is_taken(self) -> bool:
        return self.status() == ("running", self.attempt + 1)

    def stale(self, change: Callable[[], None]) -> int:
        """Return how many rows are new or different after something that must change nothing."""
        before = _rows(self.database, self.run_id)
        change()
        return len(_rows(self.database, self.run_id) - before)

    def write_again(self) -> bool:
        """Let the replaced owner write once more; return whether it was told."""
        plain = Recorder(
            self.database,
            self.run_id,
            self.attempt,
            scenario_digest="digest",
            should_stop=lambda: False,
        )
        try:
            self.write(plain)
        except ReplacedError:
            return True
        return False

    def close(self) -> None:
        """End the run, so that no later sweep looks at it."""
        with self.database.write() as session:
            transitions.finish(session, self.run_id, self.status()[1], status=RunStatus.SUCCEEDED)


def measure(plan: Plan) -> list[Figure]:
    """Race at every place of every write, again and again."""
    return apart(plan, _measure)


def _measure(plan: Plan) -> list[Figure]:
    database = Database(plan.url)
    places = [(write, place) for write in WRITES for place in range(_num_places(database, write))]
    count: Counter[str] = Counter()
    owners = (worker(1), identity())
    for (write, place), who in cycle(product(places, owners)):
        _run(Race(database, who, write, place), count)
        if count["before"] + count["after"] >= plan.count(2_000):
            break
    control: Counter[str] = Counter()
    for _ in range(CONTROLS):
        _run(Race(database, worker(1), _checked_before, 0), control)
    database.dispose()
    return [
        Figure(
            "takeovers of an owner that was stopped in the middle of what it writes",
            "0 stale rows, and the owner is told that it was replaced",
            f"{count['before'] + count['after']} takeovers at {len(places)} places "
            f"({count['before']} while the owner stood, {count['waited']} after waiting for its "
            f"lock, {count['after'] - count['waited']} when it had gone): "
            f"{count['stale']} stale rows, {count['untold']} owners not told",
            ok=count["stale"] + count["untold"] == 0 and min(count["before"], count["after"]) > 0,
        ),
        Figure(
            "control: the same where the owner asks one transaction before it writes",
            "stale rows, or the race is none",
            f"{control['stale']} of {CONTROLS} stale",
            ok=control["stale"] == CONTROLS,
        ),
    ]


def _num_places(database: Database, write: Callable[[Recorder], None]) -> int:
    """Return at how many places a write can be stopped."""
    race = Race(database, worker(1), write, -1)
    race.start()
    race.go_on()
    if race.answer is not None:
        raise race.answer
    race.close()
    return race.paused.passed


def _run(race: Race, count: Counter[str]) -> None:
    """Stop the owner, try to take its run, let it go on, and count what came of it."""
    race.start()
    asking = Asking(race.database, locked=race.paused.place > 0)
    taker = threading.Thread(target=race.take, args=(asking,))
    taker.start()
    while taker.is_alive() and not asking.waits():
        taker.join(0.002)
    if not taker.is_alive() and race.is_taken():
        count["before"] += 1
        count["stale"] += race.stale(race.go_on)
        count["untold"] += not isinstance(race.answer, ReplacedError)
    else:
        _take_after(race, taker, count)
    race.close()


def _take_after(race: Race, taker: threading.Thread, count: Counter[str]) -> None:
    """Let the owner finish its transaction, and take its run then if there is still one to take."""
    waited = taker.is_alive()
    race.go_on()
    taker.join(PATIENCE)
    if race.answer is not None:
        count["untold"] += 1  # it held the run all the time
    if not race.is_taken():
        race.take(race.database)
    if race.is_taken():
        count["after"] += 1
        count["waited"] += waited
        count["stale"] += race.stale(lambda: count.update(untold=not race.write_again()))


def _rows(database: Database, run_id: str) -> set[tuple[str, str]]:
    """Return every row of a run, of every table."""
    found = set()
    with database.read() as session:
        for name, table in Base.metadata.tables.items():
            key = table.c.get("run_id", table.c.get("id"))
            for row in session.execute(select(table).where(key == run_id)):
                found.add((name, str(tuple(row))))
    return found
