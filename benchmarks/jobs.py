"""What it costs that an evaluation is a job: its share of the processor time of a job.

    python benchmarks/jobs.py [--times 3] [--images 300]

A run is trained on digits; then a job draws a security curve of APGD in this process, as a worker's
trainer does. Counted is what the command would not do: telling batches apart, taking up and storing
what was found, and saying where the job is, all under its fence. Both times are of one and the same
evaluation, so that what else the machine does counts alike in both.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

SCENARIO = """
[data]
dataset = "digits"
[threat]
epsilon = 0.15
num_steps = 5
[method]
name = "pgd-at"
[training]
epochs = 5
[evaluation]
batch_size = 50
"""


def main() -> None:
    """Print the share of each time, and the median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--images", type=int, default=300)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caat-jobs-") as folder:
        os.environ |= {"CAAT_DATA_DIR": folder, "CAAT_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
        (Path(folder) / "scenario.toml").write_text(SCENARIO)
        run_id = caat("run", f"{folder}/scenario.toml")
        shares = [share(run_id, wanted.images, seed) for seed in range(wanted.times)]
        print(f"median {statistics.median(shares):.2%}")


def caat(*words: str) -> str:
    """Run a command and return the first word that it prints."""
    command = [sys.executable, "-m", "app.cli.main", *words]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.split()[0]


class Clock:
    """Adds up the processor seconds of some calls, without those of others inside them."""

    def __init__(self) -> None:
        self.seconds, self._depth = 0.0, 0

    def counted(self, act: Callable[..., Any], sign: int = 1) -> Callable[..., Any]:
        """Return what does the same and is counted; with -1, what is left out."""

        def timed(*given: Any, **named: Any) -> Any:
            inside = self._depth > 0
            if sign > 0 and inside:
                return act(*given, **named)
            self._depth += sign
            began = time.process_time()
            try:
                return act(*given, **named)
            finally:
                self._depth -= sign
                if sign > 0 or inside:
                    self.seconds += sign * (time.process_time() - began)

        return timed


def share(run_id: str, images: int, seed: int) -> float:
    """Return how much of a job's processor time is not the evaluation's."""
    from tasks.results import job

    clock, find = Clock(), job.StoredParts.part

    def part(self: Any, x: Any, y: Any, look: Any, **named: Any) -> Any:
        return find(self, x, y, clock.counted(look, -1), **named)

    kept = (job.StoredParts.part, job.StoredParts.check, job.Job.write, job._stored, job._facts)
    job.StoredParts.part = clock.counted(part)
    job.StoredParts.check = clock.counted(job.StoredParts.check)
    job.Job.write = clock.counted(job.Job.write)
    job._stored, job._facts = clock.counted(job._stored), clock.counted(job._facts)
    try:
        act = as_job(run_id, images, seed)
        began = time.process_time()
        act()
        whole = time.process_time() - began
    finally:
        parts = job.StoredParts
        parts.part, parts.check, job.Job.write, job._stored, job._facts = kept
    told = clock.seconds / (whole - clock.seconds)
    print(f"{whole:.1f} s, {clock.seconds:.3f} s of them the job's own: {told:.2%}")
    return told


def as_job(run_id: str, images: int, seed: int) -> Callable[[], object]:
    """Queue a job, claim it, and return what does its looks and stores them."""
    from db import snapshot  # noqa: F401 - what loads Arrow is loaded by the command as well
    from db.reads import queries
    from db.writes import transitions
    from tasks.jobs import submit_evaluation
    from tasks.processes.host import identity
    from tasks.results import job
    from tasks.results.request import EvaluationRequest
    from tasks.settings import open_database

    database = open_database()
    asked = EvaluationRequest("apgd", subset=images, seed=seed, curve=True)
    queued = submit_evaluation(run_id, asked, actor="benchmark").run_id
    with database.write() as session:
        number = transitions.claim(session, queued, identity(), lease_seconds=3600)
    with database.read() as session:
        row = queries.get_run(session, queued)
    assert row is not None
    assert number == 1
    return lambda: job.work(database, row, number, device="cpu", should_stop=lambda: False)


if __name__ == "__main__":
    main()
