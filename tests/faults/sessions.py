"""Sessions at the real commands, one after the other; a table of its own says what must follow."""

from collections import Counter

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from db.models import RunStatus
from db.reads import queries
from db.session import Database
from db.writes import transitions
from engine.errors import UserError
from engine.scenario import Scenario
from tasks import commands
from tasks.processes.host import host_name
from tasks.queue.submit import submit
from tasks.settings import open_database
from tasks.worker import reconcile
from tests.faults.chains import run_problems
from tests.faults.reports import worker

GONE = "gone"
STOP = {"queued": "cancelled", "interrupted": "cancelled", "running": "stopping"}
RESUME = dict.fromkeys(("interrupted", "failed", "cancelled"), "queued")
DELETE = dict.fromkeys(("succeeded", "failed", "cancelled"), GONE)
CLAIM = {"queued": "running"}
INTERRUPT = {"running": "interrupted"}
FINISH = {
    "succeeded": dict.fromkeys(("running", "stopping"), "succeeded"),
    "failed": dict.fromkeys(("running", "stopping"), "failed"),
    "cancelled": {"stopping": "cancelled"},
}
LOST = {"running": "interrupted", "stopping": "cancelled"}
"""What follows what, by command, written down a second time; whatever is not there stays."""

SCENARIO = Scenario.model_validate({"data": {"dataset": "digits"}})
RUNS = st.integers(0, 5)
ACTORS = st.sampled_from([f"session {number}" for number in range(1, 5)])
counted: Counter[str] = Counter()
"""Steps taken in this process, by name."""


class Sessions(RuleBasedStateMachine):
    """Up to six runs, four sessions, one worker and the reconciler."""

    def __init__(self) -> None:
        super().__init__()
        self.database: Database = open_database()
        self.runs: list[str] = []
        self.status: dict[str, str] = {}
        self.keys: dict[str, str] = {}

    def _of(self, place: int) -> str:
        return self.runs[place % len(self.runs)]

    def _follows(self, what: str, run_id: str, table: dict[str, str]) -> bool:
        """Note what must follow, look whether it did, and return whether anything happened."""
        counted[what] += 1
        before = self.status[run_id]
        self.status[run_id] = table.get(before, before)
        with self.database.read() as session:
            run = queries.get_run(session, run_id)
        found = run.status.value if run else GONE
        assert found == self.status[run_id], f"{what} at {before}: {found}"
        return found != before

    @precondition(lambda self: len(self.runs) < 6)
    @rule(actor=ACTORS, key=st.sampled_from(["", "a", "b"]))
    def launch(self, actor: str, key: str) -> None:
        counted["launch"] += 1
        known = self.keys.get(key) if key else None
        if known is not None and self.status[known] == GONE:
            known = None
        stored = submit(SCENARIO, actor=actor, idempotency_key=f"{id(self)}{key}" if key else None)
        assert stored.created == (known is None), f"a second run of key {key!r}"
        assert known in (None, stored.run_id)
        if known is None:
            self.runs.append(stored.run_id)
            self.status[stored.run_id] = "queued"
            self.keys[key] = stored.run_id

    @precondition(lambda self: self.runs)
    @rule(place=RUNS, actor=ACTORS)
    def stop(self, place: int, actor: str) -> None:
        told = commands.stop(self._of(place), actor)
        assert self._follows("stop", self._of(place), STOP) != told.startswith("Already")

    @precondition(lambda self: self.runs)
    @rule(place=RUNS, actor=ACTORS)
    def resume(self, place: int, actor: str) -> None:
        told = commands.resume(self._of(place), actor)
        assert self._follows("resume", self._of(place), RESUME) != told.startswith("Nothing")

    @precondition(lambda self: self.runs)
    @rule(place=RUNS, actor=ACTORS)
    def delete(self, place: int, actor: str) -> None:
        refused = False
        try:
            commands.delete(self._of(place), actor)
        except UserError:
            refused = True
        before = self.status[self._of(place)]
        self._follows("delete", self._of(place), DELETE)
        assert refused == (before not in (*DELETE, GONE))

    @precondition(lambda self: self.runs)
    @rule(place=RUNS)
    def claim(self, place: int) -> None:
        with self.database.write() as session:
            number = transitions.claim(
                session, self._of(place), worker(1, host_name()), lease_seconds=60
            )
        assert self._follows("claim", self._of(place), CLAIM) == (number is not None)

    @precondition(lambda self: self.runs)
    @rule(place=RUNS, end=st.sampled_from(list(FINISH)))
    def finish(self, place: int, end: str) -> None:
        run_id, number = self._of(place), self._attempt(self._of(place))
        with self.database.write() as session:
            done = transitions.finish(session, run_id, number, status=RunStatus(end))
        assert self._follows("finish", run_id, FINISH[end]) == done

    @precondition(lambda self: self.runs)
    @rule(place=RUNS)
    def interrupt(self, place: int) -> None:
        run_id, number = self._of(place), self._attempt(self._of(place))
        with self.database.write() as session:
            done = transitions.interrupt(session, run_id, number, reason="lost", message=None)
        assert self._follows("interrupt", run_id, INTERRUPT) == done

    @precondition(lambda self: self.runs)
    @rule(place=RUNS)
    def lose_and_sweep(self, place: int) -> None:
        """Its worker is silent; the same sweep may queue it again already, and queues others."""
        run_id = self._of(place)
        with self.database.write() as session:
            transitions.heartbeat(session, run_id, self._attempt(run_id), lease_seconds=-1)
        reconcile.sweep(self.database)
        for other in self.runs:
            table = LOST if other == run_id else {}
            status = table.get(self.status[other], self.status[other])
            requeued = status == "interrupted" and self._found(other) == "queued"
            self._follows("sweep", other, {self.status[other]: "queued" if requeued else status})

    def _found(self, run_id: str) -> str:
        with self.database.read() as session:
            run = queries.get_run(session, run_id)
        return run.status.value if run else GONE

    def _attempt(self, run_id: str) -> int:
        with self.database.read() as session:
            run = queries.get_run(session, run_id)
        return run.attempt if run else 0

    def teardown(self) -> None:
        """Check every chain, and leave nothing that a later sweep would look at."""
        problems = [
            problem for run_id in self.runs for problem in run_problems(self.database, run_id)
        ]
        assert not problems, problems
        for run_id in self.runs:
            commands.stop(run_id, "session 1")
            with self.database.write() as session:
                number = self._attempt(run_id)
                transitions.finish(session, run_id, number, status=RunStatus.CANCELLED)


def walk(steps: int, first_seed: int) -> Counter[str]:
    """Take at least so many steps and return how many of each.

    Raises:
        AssertionError: Something else followed than the table says; with the shortest way there.
    """
    chosen = settings(
        max_examples=3,
        stateful_step_count=50,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    counted.clear()
    number = first_seed
    while counted.total() < steps:
        run_state_machine_as_test(seed(number)(type("Sessions", (Sessions,), {})), settings=chosen)
        number += 1
    return counted
