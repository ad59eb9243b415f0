"""Workers are told to end (SIGTERM) at a random moment of the run that they train.

Half of the time anywhere from the claim on, half of the time while steps are taken. The worker must
leave, its trainer with it, the run go on with another worker and end with what an undisturbed run
has.
"""

import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from tests.faults.frame import Figure, Plan, opened
from tests.faults.traces import ended_like
from tests.real.studio import Studio, is_alive, outlives, side_by_side

TITLE = "SIGTERM in training"

FULL, DRAINS_PER_RUN, EPOCHS_PER_DRAIN, LANES = 50, 10, 2, 2
START_SECONDS, EPOCH_SECONDS = 4.0, 0.5
TARGET_SECONDS = 10.0


@dataclass(frozen=True)
class Drain:
    """Seconds until the worker had left, whether in good order, and whether its trainer stayed."""

    seconds: float
    in_good_order: bool
    outlived: bool


@dataclass
class Lane:
    """One run after the other, each with several workers."""

    studio: Studio
    rng: random.Random
    drains: list[Drain] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    def go(self, number: int, epochs: int) -> None:
        """End so many workers, in as many runs as that takes."""
        while len(self.drains) < number and len(self.runs) < 2 * number:
            self.runs.append(self.studio.queue(f"training.epochs={epochs}"))
            for _ in range(min(DRAINS_PER_RUN, number - len(self.drains))):
                self._drain(self.runs[-1])
            print(f"  {len(self.drains)} of {number} workers", flush=True)
        for run_id in self.runs:
            self.studio.wait_for_status(run_id, "succeeded", "failed", seconds=300)

    def _drain(self, run_id: str) -> None:
        """Tell the worker of the newest attempt to end, and start another one."""
        found = self.studio.next_attempt(run_id)
        if found is None:
            return
        attempt, trainer = found
        if self.rng.random() < 0.5:
            time.sleep(self.rng.uniform(0, START_SECONDS))
        else:
            self.studio.wait_for_training(run_id, attempt)
            time.sleep(self.rng.uniform(0, EPOCH_SECONDS))
        worker = next(p for p in self.studio.processes if p.pid == attempt.pid)
        if not is_alive(trainer):
            return
        worker.send_signal(signal.SIGTERM)
        began = time.monotonic()
        self.studio.start_worker()
        try:
            code = worker.wait(timeout=60)
        except subprocess.TimeoutExpired:
            code = None
        seconds = time.monotonic() - began
        outcome = self.studio.attempt(run_id, attempt.number).outcome
        if outcome != "succeeded":
            order = code == 0 and outcome == "drain"
            self.drains.append(Drain(seconds, order, outlives(trainer)))


def measure(plan: Plan) -> list[Figure]:
    """Drain workers, and compare with an undisturbed run."""
    number = max(1, plan.count(FULL) // LANES)
    epochs = EPOCHS_PER_DRAIN * min(number, DRAINS_PER_RUN) + 2
    with opened(plan) as studio:
        studio.start_broker()
        for _ in range(LANES):
            studio.start_worker()
        lanes = [Lane(studio, random.Random(f"{plan.seed} {plan.kind} {n}")) for n in range(LANES)]
        side_by_side(*(partial(lane.go, number, epochs) for lane in lanes))
        undisturbed = studio.queue(f"training.epochs={epochs}")
        studio.wait_for_status(undisturbed, "succeeded", "failed")
        runs = [run_id for lane in lanes for run_id in lane.runs]
        same = [ended_like(studio.database, run_id, undisturbed) for run_id in runs]
    drains = [drain for lane in lanes for drain in lane.drains]
    return _figures(drains, number * LANES, same)


def _figures(drains: list[Drain], wanted: int, same: list[bool]) -> list[Figure]:
    seconds = [drain.seconds for drain in drains]
    high, most = np.percentile(seconds, 95), max(seconds)
    ordered, outlived = (sum(d.in_good_order for d in drains), sum(d.outlived for d in drains))
    return [
        Figure(
            "workers that left with exit code 0, their attempt marked as drained",
            f"{wanted}",
            f"{ordered} of {len(drains)}",
            ordered == len(drains) == wanted,
        ),
        Figure(
            "from SIGTERM to the worker's exit",
            f"p95 at most {TARGET_SECONDS:g} s",
            f"p50 {np.median(seconds):.1f} s, p95 {high:.1f} s, most {most:.1f} s",
            bool(high <= TARGET_SECONDS),
            timed=True,
        ),
        Figure("trainers left behind", "0", str(outlived), outlived == 0),
        Figure(
            "runs that end with the metrics, snapshots and checkpoints of an undisturbed one",
            "all, by sha256",
            f"{sum(same)} of {len(same)}",
            all(same),
        ),
    ]
