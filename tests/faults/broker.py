"""The broker is killed with twenty runs in its queue, and its files are deleted.

It comes back empty after up to two seconds. Two real workers with stand-ins for trainers, each busy
with a run of its own until the broker is dead, so that all twenty messages are lost. The whole
programme waits as long as the product does by default, a part less.
"""

import random
import shutil
import subprocess
import time
from dataclasses import dataclass, field

import numpy as np

from tests.faults.frame import Figure, Plan, opened
from tests.real import stand_in
from tests.real.studio import Studio, shipped

TITLE = "A broker that loses everything"

FULL, RUNS, WORKERS, AWAY_SECONDS = 10, 20, 2, 2.0
WAITS = ("sweep_seconds", "resend_after_seconds")
TARGET_SECONDS = 30.0


@dataclass
class Losses:
    """What was found in all rounds."""

    studio: Studio
    rng: random.Random
    broker: "subprocess.Popen[bytes]"
    queued: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """From the broker's end to each start, in seconds."""

    def lose(self) -> None:
        """Queue runs, kill the broker, bring back an empty one, and wait for every start."""
        studio = self.studio
        held = [studio.queue() for _ in range(WORKERS)]
        for run_id in held:
            stand_in.hold(studio, run_id)
        studio.send_by_celery(held)
        self._wait_for_starts(held)
        runs = [studio.queue() for _ in range(RUNS)]
        studio.send_by_celery(runs)
        self.broker.kill()
        self.broker.wait()
        killed = time.time()
        shutil.rmtree(studio.socket.parent)
        for run_id in held:
            stand_in.let_go(studio, run_id)
        time.sleep(self.rng.uniform(0, AWAY_SECONDS))
        self.broker = studio.start_broker()
        self._wait_for_starts(runs)
        self.queued += runs
        self.delays += [stand_in.started(studio)[run_id][0] - killed for run_id in runs]

    def _wait_for_starts(self, runs: list[str]) -> None:
        self.studio.wait_for(
            lambda: stand_in.started(self.studio).keys() >= set(runs), "the last start", 120
        )


def measure(plan: Plan) -> list[Figure]:
    """Lose every message so many times."""
    waits = shipped(*WAITS) if plan.share == 1 else {}
    with opened(plan, **stand_in.SETTINGS, **waits) as studio:
        stand_in.put_in(studio)
        rng = random.Random(f"{plan.seed} {plan.kind}")
        losses = Losses(studio, rng, studio.start_broker())
        for _ in range(WORKERS):
            studio.start_worker()
        rounds = plan.count(FULL)
        for number in range(rounds):
            losses.lose()
            print(f"  {number + 1} of {rounds} brokers", flush=True)
        starts = stand_in.started(studio)
    once = sum(len(starts[run_id]) == 1 for run_id in losses.queued)
    high = float(np.percentile(losses.delays, 95))
    return [
        Figure(
            f"runs that start exactly once, {RUNS} queued at each of {rounds} losses",
            "all",
            f"{once} of {len(losses.queued)}",
            once == len(losses.queued),
        ),
        Figure(
            "from the loss to a start",
            f"p95 at most {TARGET_SECONDS:g} s",
            f"p50 {np.median(losses.delays):.1f} s, p95 {high:.1f} s, "
            f"most {max(losses.delays):.1f} s",
            high <= TARGET_SECONDS,
            timed=True,
        ),
    ]
