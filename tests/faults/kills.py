"""Trainers and workers of running runs are ended by kill -9 at random moments.

A third while the trainer starts, a third anywhere in an epoch, a third while a checkpoint and its
transaction are written; two of three times the trainer, else the worker, whose trainer then goes
with it (its pool is a thread: there is no worker child to kill). Several kills a run, `caat` with
meta-learning and `trades`, two workers on one host. Every run must end with what an undisturbed run
of its scenario has.
"""

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from db.reads.rows import AttemptRow
from tasks.worker import reconcile
from tests.faults.frame import Figure, Plan, leftovers, opened
from tests.faults.traces import ended_like, repeated_epochs
from tests.real.studio import Studio, is_alive, outlives, side_by_side

TITLE = "kill -9 in training"

FULL, KILLS_PER_RUN, EPOCHS_PER_KILL = 100, 10, 2
METHODS = ("caat", "trades")
SETTINGS = {"sweep_seconds": 5, "max_lost_attempts": 100}
"""The product's own sweep: whoever looks after locks does so every second besides."""
START_SECONDS, EPOCH_SECONDS, WRITE_SECONDS = 3.0, 0.5, 0.03
MOMENTS = ("starting", "in an epoch", "writing")
VICTIMS = ("trainer", "trainer", "worker")
TARGET_SECONDS = 2.0


@dataclass(frozen=True)
class Kill:
    """What one kill did.

    Attributes:
        run_id, attempt: Whose process it was.
        victim, moment: Which, and when.
        recorded: The run's last epoch in the database then.
        seconds: Until a look said that its worker is gone, or its row that it has ended.
        outlived: Whether its trainer was still there, 5 s later.
    """

    run_id: str
    attempt: int
    victim: str
    moment: str
    recorded: int
    seconds: float
    outlived: bool


@dataclass
class Lane:
    """One run after the other with one method, each killed several times."""

    studio: Studio
    method: str
    rng: random.Random
    kills: list[Kill] = field(default_factory=list)
    identical: list[bool] = field(default_factory=list)
    """Of each run."""

    def go(self, number: int) -> None:
        """Kill so often, in as many runs as that takes."""
        a_run = min(number, KILLS_PER_RUN)
        changes = (f"method.name={self.method}", f"training.epochs={EPOCHS_PER_KILL * a_run + 2}")
        undisturbed = self.studio.queue(*changes)
        killed: list[str] = []
        while len(self.kills) < number and len(killed) < 2 * number:
            killed.append(self.studio.queue(*changes))
            for _ in range(min(a_run, number - len(self.kills))):
                self._kill(killed[-1])
            print(f"  {self.method}: {len(self.kills)} of {number} kills", flush=True)
        for run_id in (undisturbed, *killed):
            self.studio.wait_for_status(run_id, "succeeded", "failed", seconds=300)
        database = self.studio.database
        self.identical = [ended_like(database, run_id, undisturbed) for run_id in killed]

    def _kill(self, run_id: str) -> None:
        """Kill one process of the newest attempt, and wait until it counts as interrupted."""
        victim, moment = self.rng.choice(VICTIMS), self.rng.choice(MOMENTS)
        found = self.studio.next_attempt(run_id)
        if found is None:
            return  # the run has ended before
        attempt, trainer = found
        self._wait_for(moment, run_id, attempt)
        if not is_alive(trainer):
            return
        os.kill(trainer.pid if victim == "trainer" else attempt.pid, signal.SIGKILL)
        began = time.monotonic()
        if victim == "worker":
            self.studio.start_worker()
        self.studio.wait_in(run_id, attempt, lambda: reconcile.lost(self.studio.database, run_id))
        seconds = time.monotonic() - began
        self.studio.wait_in(run_id, attempt)
        run = self.studio.run(run_id)
        if run.attempts[attempt.number - 1].outcome == "lost":
            outlived = outlives(trainer)
            self.kills.append(
                Kill(run_id, attempt.number, victim, moment, run.epoch, seconds, outlived)
            )

    def _wait_for(self, moment: str, run_id: str, attempt: AttemptRow) -> None:
        """Wait for a random instant of that kind, or until the attempt has ended."""
        if moment == "starting":
            time.sleep(self.rng.uniform(0, START_SECONDS))
        elif moment == "in an epoch":
            self.studio.wait_for_training(run_id, attempt)
            time.sleep(self.rng.uniform(0, EPOCH_SECONDS))
        else:
            folder = self.studio.folder / "runs" / run_id
            before = set(folder.glob("e*"))
            self.studio.wait_in(run_id, attempt, lambda: not before.issuperset(folder.glob("e*")))
            time.sleep(self.rng.uniform(0, WRITE_SECONDS))

    def repeated(self) -> int:
        """Return how many epochs were trained again although they were recorded."""
        database = self.studio.database
        return sum(repeated_epochs(database, k.run_id, k.attempt, k.recorded) for k in self.kills)


def measure(plan: Plan) -> list[Figure]:
    """Kill, and compare with what was not killed."""
    number = max(1, plan.count(FULL) // len(METHODS))
    with opened(plan, **SETTINGS) as studio:
        studio.start_broker()
        for _ in METHODS:
            studio.start_worker()
        lanes = [Lane(studio, m, random.Random(f"{plan.seed} {plan.kind} {m}")) for m in METHODS]
        side_by_side(*(partial(lane.go, number) for lane in lanes))
        left = studio.left_behind()
        repeated = sum(lane.repeated() for lane in lanes)
    kills = [kill for lane in lanes for kill in lane.kills]
    return [
        _number_of(kills, number * len(METHODS)),
        Figure("epochs trained again that were recorded", "0", str(repeated), repeated == 0),
        _identity([same for lane in lanes for same in lane.identical]),
        leftovers(sum(kill.outlived for kill in kills), len(left)),
        _seconds([kill.seconds for kill in kills]),
    ]


def _number_of(kills: list[Kill], wanted: int) -> Figure:
    parts = Counter(f"{kill.victim} {kill.moment}" for kill in kills)
    told = ", ".join(f"{number} {part}" for part, number in sorted(parts.items()))
    return Figure("kills", str(wanted), f"{len(kills)}: {told}", len(kills) == wanted)


def _identity(identical: list[bool]) -> Figure:
    what = "runs with the metrics, snapshots, outcomes and checkpoints of an undisturbed one"
    found = f"{sum(identical)} of {len(identical)}"
    return Figure(what, "all, by sha256", found, all(identical))


def _seconds(seconds: list[float]) -> Figure:
    middle, high = np.percentile(seconds, [50, 99])
    return Figure(
        "from the kill to a look that says so",
        f"p99 at most {TARGET_SECONDS:g} s",
        f"p50 {middle:.1f} s, p99 {high:.1f} s, most {max(seconds):.1f} s",
        bool(high <= TARGET_SECONDS),
        timed=True,
    )
