"""What it costs to keep everything that a method gave each of 60,000 samples.

One epoch is written by the project's own writers, and beside it as a table with one row a sample,
which is the comparison. Times are the best of some, since others on the machine do not count; what
is said of an epoch are shares of the time that the same process takes to train it.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sqlalchemy import Column, Float, Integer, MetaData, String, Table, func, insert, select, text

from db.models import Snapshot
from db.reads import series
from db.session import Database
from db.writes import records
from engine.training.observer import Progress
from tasks.recording.recorder import PROGRESS_SECONDS, Recorder
from tasks.settings import open_database
from tests.faults.apart import apart
from tests.faults.frame import Figure, Plan
from tests.faults.long_run import SAMPLES, STEPS, LongRun, train
from tests.faults.reports import claimed, queued_run, worker

TITLE = "The price of keeping everything"
WRITE_SECONDS, MOST_BYTES, READ_SECONDS, MOST_SHARE = 0.1, 1_500_000, 0.05, 0.02
QUANTITY, CLASS = "adversary_weight", 3


def measure(plan: Plan) -> list[Figure]:
    """Train a little, then write and read."""
    return apart(plan, _measure)


def _measure(plan: Plan) -> list[Figure]:
    torch.set_num_threads(1)
    run = train(plan.seed, plan.count(60, least=6))
    database, times = open_database(), plan.count(30, least=12)
    run_id = queued_run(database)
    attempt = claimed(database, run_id, worker(1))
    kept = Kept(database, run_id, attempt, run, times)
    return [*kept.snapshot_figures(), kept.epoch_figure()]


def best(times: int, work: Callable[[int], object]) -> float:
    """Return the fewest seconds that it took; it is told which time it is, from 1."""
    taken = []
    for number in range(1, times + 1):
        began = time.perf_counter()
        work(number)
        taken.append(time.perf_counter() - began)
    return min(taken)


class Kept:
    """One run's epochs in the database, and the same in the table of comparison."""

    def __init__(
        self, database: Database, run_id: str, attempt: int, run: LongRun, times: int
    ) -> None:
        self.database, self.run_id, self.attempt = database, run_id, attempt
        self.run, self.times = run, times
        self.table = Table(
            "comparison",
            MetaData(),
            Column("run_id", String(32), primary_key=True),
            Column("epoch", Integer, primary_key=True),
            Column("sample", Integer, primary_key=True),
            Column("label", Integer),
            *(Column(name, Float) for name in run.columns if name != "sample"),
        )

    def snapshot_figures(self) -> list[Figure]:
        """Write and read one epoch in both forms."""
        samples = {"sample": self.run.images.source, "given_label": self.run.images.labels}
        with self.database.write() as session:
            records.write_snapshot(
                session, self.run_id, self.attempt, epoch=0, kind="samples", columns=samples
            )
        written, size = best(self.times, self._write), self._size()
        read = best(self.times, self._read_snapshot)
        ready = best(self.times, self._read_summary)
        before = self._database_size()
        rows_written = best(1, self._write_rows)
        rows_size = self._database_size() - before
        rows_read = best(self.times, self._read_rows)
        num = len(self.run.columns)
        return [
            Figure(
                f"writing {SAMPLES:,} samples, {num} columns",
                f"at most {1000 * WRITE_SECONDS:.0f} ms",
                f"{1000 * written:.0f} ms; one row a sample {rows_written / written:.0f} times",
                ok=written <= WRITE_SECONDS,
                timed=True,
            ),
            Figure(
                "their size",
                f"at most {MOST_BYTES:,} bytes",
                f"{size:,} bytes; one row a sample {rows_size / size:.1f} times",
                ok=size <= MOST_BYTES,
            ),
            Figure(
                "reading one class's distribution of one epoch, from the samples",
                f"at most {1000 * READ_SECONDS:.0f} ms",
                f"{1000 * read:.1f} ms (as summarised {1000 * ready:.1f} ms); one row a sample "
                f"{rows_read / read:.1f} times",
                ok=max(read, ready) <= READ_SECONDS,
                timed=True,
            ),
        ]

    def epoch_figure(self) -> Figure:
        """Say which share of an epoch goes into what the recorder does."""
        database: Any = self.database
        owner = Recorder(
            database, self.run_id, self.attempt, scenario_digest="digest", should_stop=lambda: False
        )
        epoch = best(self.times, lambda number: owner.on_epoch(self.run.report(number)))
        progress = best(self.times, lambda number: self._tell(owner, number, 0))
        silent = best(self.times, lambda number: self._tell(owner, number, time.monotonic()))
        seconds = self.run.epoch_seconds
        # No more writes than one a step, and none within half a second of the last.
        told = min(seconds / PROGRESS_SECONDS, STEPS)
        share = (epoch + told * progress + STEPS * silent) / seconds
        return Figure(
            "keeping an epoch: summaries, checkpoint, snapshot, metrics and progress",
            f"at most {MOST_SHARE:.0%} of its training",
            f"{share:.2%} (an epoch's end {1000 * epoch:.0f} ms, progress {1000 * progress:.1f} ms "
            f"twice a second; training {seconds:.0f} s, from {self.run.num_timed} batches)",
            ok=share <= MOST_SHARE,
            timed=True,
        )

    def _tell(self, owner: Recorder, number: int, told_at: float) -> None:
        owner._told_at, owner._phase = told_at, "training"
        owner.on_progress(Progress("training", 1, number, STEPS, None))

    # -- as the project does it

    def _write(self, epoch: int) -> None:
        with self.database.write() as session:
            columns = self.run.columns
            records.write_snapshot(
                session, self.run_id, self.attempt, epoch=epoch, kind="assignment", columns=columns
            )

    def _size(self) -> int:
        found = select(func.length(Snapshot.data)).where(Snapshot.kind == "assignment")
        with self.database.read() as session:
            return int(session.execute(found.limit(1)).scalar_one())

    def _read_snapshot(self, epoch: int) -> None:
        with self.database.read() as session:
            columns = series.snapshot(
                session, self.run_id, epoch, kind="assignment", names=[QUANTITY]
            )
            samples = series.snapshot(
                session, self.run_id, 0, kind="samples", names=["given_label"]
            )
        assert columns is not None
        assert samples is not None
        _quantiles(columns[QUANTITY][samples["given_label"] == CLASS])

    def _read_summary(self, epoch: int) -> None:
        with self.database.read() as session:
            series.class_summaries(
                session, self.run_id, epoch, quantity=QUANTITY, label_group="all"
            )

    # -- one row a sample

    def _write_rows(self, epoch: int) -> None:
        columns = {name: values.tolist() for name, values in self.run.columns.items()}
        columns["label"] = self.run.images.labels.tolist()
        rows = [
            {"run_id": self.run_id, "epoch": epoch, **dict(zip(columns, row, strict=True))}
            for row in zip(*columns.values(), strict=True)
        ]
        with self.database.write() as session:
            self.table.create(session.connection(), checkfirst=True)
            session.execute(insert(self.table), rows)

    def _database_size(self) -> int:
        size = "SELECT pg_database_size(current_database())"
        if self.database.is_sqlite:
            size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        with self.database.read() as session:
            return int(session.execute(text(size)).scalar_one())

    def _read_rows(self, _: int) -> None:
        mine = (self.table.c.run_id == self.run_id, self.table.c.epoch == 1)
        found = select(self.table.c[QUANTITY]).where(*mine, self.table.c.label == CLASS)
        with self.database.read() as session:
            _quantiles(np.array(session.execute(found).scalars().all()))


def _quantiles(values: np.ndarray) -> None:
    np.quantile(values, np.linspace(0, 1, records.NUM_QUANTILES))
