"""Trainers and workers of queued evaluations are ended by kill -9 at random moments.

Half of the time while the evaluation starts, half of the time while it attacks; two of three times
the trainer, else the worker. APGD and AutoAttack at once, each of a trained run of its own, in
batches of two images, several kills a job, each job with its own seed. Every job must store what
`caat evaluate` stores without a queue, and attack no batch again that was stored.
"""

import json
import os
import random
import re
import signal
import time
from dataclasses import dataclass, field
from functools import partial

from db.reads.rows import AttemptRow
from tests.faults.frame import Figure, Plan, leftovers, opened
from tests.faults.traces import stored_evaluations, stored_parts
from tests.real.studio import Studio, is_alive, outlives, side_by_side

TITLE = "kill -9 in an evaluation"

FULL, KILLS_PER_JOB = 50, 5
ATTACKS = (
    ("--attack", "apgd"),
    ("--attack", "autoattack", "--subset", "40", "--epsilon", "0.02"),
)
SCENARIO = (
    *("method.name=pgd-at", "training.epochs=1"),
    *("data.test_size=100", "evaluation.batch_size=2"),
)
SETTINGS = {"max_lost_attempts": 100}
START_SECONDS, ATTACK_SECONDS = 4.0, 1.5
VICTIMS = ("trainer", "trainer", "worker")
TAKEN_UP = re.compile(r"INFO (\d+) batches are stored already")


@dataclass
class Lane:
    """One job after the other with one attack, each killed several times."""

    studio: Studio
    run_id: str
    words: tuple[str, ...]
    rng: random.Random
    num_kills: int = 0
    num_outlived: int = 0
    """Trainers that were still there, 5 s after a kill."""
    num_repeated: int = 0
    """Batches that were stored when an attempt was killed, and that the next did not take up."""
    jobs: list[str] = field(default_factory=list)

    def go(self, number: int) -> None:
        """Kill so often, in as many jobs as that takes."""
        while self.num_kills < number and len(self.jobs) < 2 * number:
            job = self._queue(seed=len(self.jobs))
            stored: dict[int, int] = {}
            for _ in range(min(KILLS_PER_JOB, number - self.num_kills)):
                self._kill(job, stored)
            self.studio.wait_for_status(job, "succeeded", "failed")
            self.num_repeated += self._repeated(job, stored)
            print(f"  {self.words[1]}: {self.num_kills} of {number} kills", flush=True)

    def identical(self) -> int:
        """Evaluate again, each in the foreground; return how many found what their job had."""
        by_jobs = stored_evaluations(self.studio.database, self.run_id)
        for seed in range(len(self.jobs)):
            self._evaluate("--seed", str(seed))
        alone = stored_evaluations(self.studio.database, self.run_id)
        return sum(found == by_jobs.get(name) for name, found in alone.items())

    def _evaluate(self, *more: str) -> dict[str, str]:
        done = self.studio.caat("evaluate", self.run_id, *self.words, *more, "--json")
        assert done.returncode == 0, done.stderr
        told: dict[str, str] = json.loads(done.stdout)
        return told

    def _queue(self, seed: int) -> str:
        self.jobs.append(self._evaluate("--seed", str(seed), "--queue")["run_id"])
        return self.jobs[-1]

    def _kill(self, job: str, stored: dict[int, int]) -> None:
        """Kill a process of the newest attempt; note how many batches it had stored."""
        found = self.studio.next_attempt(job)
        if found is None:
            return  # the job has ended before
        attempt, trainer = found
        self._wait(job, attempt)
        if not is_alive(trainer):
            return
        kills_worker = self.rng.choice(VICTIMS) == "worker"
        before = stored_parts(self.studio.database, job)
        os.kill(attempt.pid if kills_worker else trainer.pid, signal.SIGKILL)
        if kills_worker:
            self.studio.start_worker()
        self.studio.wait_in(job, attempt)
        if self.studio.attempt(job, attempt.number).outcome == "lost":
            stored[attempt.number] = before
            self.num_kills += 1
            self.num_outlived += outlives(trainer)

    def _wait(self, job: str, attempt: AttemptRow) -> None:
        """Wait for a random instant of the start or of the attack, or until the attempt ends."""
        if self.rng.random() < 0.5:
            time.sleep(self.rng.uniform(0, START_SECONDS))
            return
        before = stored_parts(self.studio.database, job)
        self.studio.wait_in(job, attempt, lambda: stored_parts(self.studio.database, job) > before)
        time.sleep(self.rng.uniform(0, ATTACK_SECONDS))

    def _repeated(self, job: str, stored: dict[int, int]) -> int:
        """Return how many stored batches the attempts after a kill did not take up."""
        log = (self.studio.folder / "runs" / job / "log.txt").read_text()
        taken_up: dict[int, int] = {}
        for text in re.split(r"(?=INFO Attempt \d+ )", log)[1:]:
            number, told = re.match(r"INFO Attempt (\d+) ", text), TAKEN_UP.search(text)
            assert number is not None
            if told is not None:
                taken_up[int(number[1])] = int(told[1])
        later = {n: min(taken_up[m] for m in taken_up if m > n) for n in stored}
        return sum(max(0, before - later[n]) for n, before in stored.items())


def measure(plan: Plan) -> list[Figure]:
    """Kill, and compare with the command in the foreground."""
    number = max(1, plan.count(FULL) // len(ATTACKS))
    with opened(plan, **SETTINGS) as studio:
        studio.start_broker()
        for _ in ATTACKS:
            studio.start_worker()
        runs = [studio.queue(*SCENARIO) for _ in ATTACKS]
        for run_id in runs:
            studio.wait_for_status(run_id, "succeeded")
        lanes = [
            Lane(studio, run_id, words, random.Random(f"{plan.seed} {plan.kind} {words[1]}"))
            for run_id, words in zip(runs, ATTACKS, strict=True)
        ]
        side_by_side(*(partial(lane.go, number) for lane in lanes))
        left = studio.left_behind()
        identical = sum(lane.identical() for lane in lanes)
    kills = sum(lane.num_kills for lane in lanes)
    repeated = sum(lane.num_repeated for lane in lanes)
    # Beside those of the jobs, each run has the evaluation at its own end.
    wanted = sum(len(lane.jobs) + 1 for lane in lanes)
    return [
        Figure("kills", str(number * len(lanes)), str(kills), kills == number * len(lanes)),
        Figure("stored batches that were attacked again", "0", str(repeated), repeated == 0),
        Figure(
            "evaluations with the outcomes and the card of an undisturbed one",
            "all, to the last bit",
            f"{identical} of {wanted}",
            identical == wanted,
        ),
        leftovers(sum(lane.num_outlived for lane in lanes), len(left)),
    ]
