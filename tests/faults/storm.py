"""Sessions, workers and a reconciler in threads of one process, all on the same few runs."""

import random
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from db.models import RunStatus
from db.reads import queries
from db.reads.rows import EventRow
from db.session import Database
from db.writes import transitions
from engine.errors import UserError
from tasks import commands
from tasks.processes.host import host_name
from tasks.queue.submit import submit
from tasks.worker import reconcile
from tests.faults.chains import chain_problems, run_problems
from tests.faults.reports import worker
from tests.faults.sessions import SCENARIO

SESSIONS, WORKERS, NEWEST = 4, 2, 6
ENDS = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


class Storm:
    """What happened, and what is wrong with it.

    Attributes:
        problems: One line each.
        claims: Run and attempt of every claim that a worker was granted.
    """

    def __init__(self, database: Database, seed: int) -> None:
        self.database, self.seed = database, seed
        self.runs: list[str] = []
        self.claims: list[tuple[str, int]] = []
        self.problems: list[str] = []
        self.gone: dict[str, list[EventRow]] = {}
        self.commands = self.num_events = self.num_runs = 0
        self._over = threading.Event()

    def rage(self, num_commands: int) -> None:
        """Let all sessions give their commands, then check every chain of events."""
        each = max(1, num_commands // SESSIONS)
        sessions = [self._thread(self._session, n, each) for n in range(SESSIONS)]
        others = [self._thread(self._worker, n) for n in range(WORKERS)]
        others.append(self._thread(self._sweeps))
        with patch.object(reconcile, "finish_deletion", self._finish_deletion):
            for thread in (*sessions, *others):
                thread.start()
            for thread in sessions:
                thread.join()
            self._over.set()
            for thread in others:
                thread.join()
        self.commands = each * SESSIONS
        self._check()

    def _thread(self, work: Callable[..., None], *given: int) -> threading.Thread:
        def safely() -> None:
            try:
                work(*given)
            except Exception as error:  # noqa: BLE001 - an error is what is looked for
                self.problems.append(f"{type(error).__name__}: {error}")

        return threading.Thread(target=safely)

    def _session(self, number: int, num_commands: int) -> None:
        rng = random.Random(self.seed * SESSIONS + number)
        actor = f"session {number + 1}"
        for place in range(num_commands):
            what = rng.choice(["launch", "stop", "resume", "delete"])
            if what == "launch" or not self.runs:
                self._launch(actor, place)
                continue
            run_id = rng.choice(self.runs[-NEWEST:])
            try:
                getattr(commands, what)(run_id, actor)
            except UserError:
                continue  # it had not ended

    def _launch(self, actor: str, place: int) -> None:
        """Launch with a key that the other sessions use too: one of them makes the run."""
        stored = submit(SCENARIO, actor=actor, idempotency_key=f"storm-{self.seed}-{place}")
        if stored.created:
            self.runs.append(stored.run_id)

    def _worker(self, number: int) -> None:
        rng, me = random.Random(-1 - self.seed * WORKERS - number), worker(number, host_name())
        while not self._over.is_set():
            with self.database.read() as session:
                queued = queries.runs_with_status(session, RunStatus.QUEUED)
            if not queued:
                self._over.wait(0.005)
                continue
            run_id = rng.choice(queued)
            with self.database.write() as session:
                attempt = transitions.claim(session, run_id, me, lease_seconds=60)
            if attempt is not None:
                self.claims.append((run_id, attempt))
                self._end(rng, run_id, attempt)

    def _end(self, rng: random.Random, run_id: str, attempt: int) -> None:
        """End an attempt in one of the ways in which attempts end."""
        way = rng.choice([*ENDS, "interrupted", "silent"])
        with self.database.write() as session:
            if way == "silent":
                transitions.heartbeat(session, run_id, attempt, lease_seconds=-1)
            elif way == "interrupted":
                transitions.interrupt(session, run_id, attempt, reason="lost", message=None)
            elif not transitions.finish(session, run_id, attempt, status=RunStatus(way)):
                transitions.heartbeat(session, run_id, attempt, lease_seconds=-1)

    def _sweeps(self) -> None:
        while not self._over.wait(0.02):
            reconcile.sweep(self.database)

    def _finish_deletion(self, database: Database, run_id: str, **options: Any) -> None:
        """Keep the events of what is about to be deleted."""
        with database.read() as session:
            events = queries.events(session, run_id)
        if events:
            self.gone[run_id] = events
        _finish_deletion(database, run_id, **options)

    def _check(self) -> None:
        for run_id, events in self.gone.items():
            told = chain_problems(events, RunStatus.DELETING)
            self.problems += [f"{run_id}, deleted: {problem}" for problem in told]
            self.num_events += len(events)
        with self.database.read() as session:
            there = [run_id for run_id in self.runs if queries.get_run(session, run_id)]
            self.num_events += sum(len(queries.events(session, run_id)) for run_id in there)
        for run_id in there:
            self.problems += run_problems(self.database, run_id)
        self.num_runs = len(self.runs)
        twice = len(self.claims) - len(set(self.claims))
        self.problems += [f"{twice} attempts were claimed twice"] * bool(twice)


_finish_deletion: Any = reconcile.finish_deletion
