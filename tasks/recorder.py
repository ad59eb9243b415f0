"""The observer that writes rows: one transaction an epoch, none once the run is someone else's."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt
from sqlalchemy.orm import Session

from db import queries, records, transitions
from db.errors import DatabaseBusyError, DatabaseUnreachableError
from db.evaluations import FINAL, NewEvaluation, write_evaluation
from db.models import RunStatus
from db.records import ClassMetricRow, ClassSummaryRow, MetricRow
from db.session import Database
from engine.evaluate import Evaluation
from engine.observer import EpochReport, FinalReport, Progress, RunFacts, Snapshot
from engine.statistics import spread
from tasks import checkpoints
from tasks.settings import settings

PROGRESS_SECONDS = 0.5
"""Progress is written at most so often."""
PATIENCE_SECONDS = 60.0
"""How long an epoch's transaction waits for a database that does not answer."""


class ReplacedError(RuntimeError):
    """Another attempt has taken this run; nothing may be written any more."""


class Recorder:
    """Writes what a trainer reports, as one attempt of one run."""

    def __init__(
        self,
        database: Database,
        run_id: str,
        attempt: int,
        scenario_digest: str,
        should_stop: Callable[[], bool],
    ) -> None:
        self.database, self.run_id, self.attempt = database, run_id, attempt
        self.scenario_digest = scenario_digest
        self.should_stop = should_stop
        self._pending: list[MetricRow] = []
        self._told_at = 0.0
        self._phase = ""

    def on_start(self, facts: RunFacts, samples: dict[str, npt.NDArray[Any]]) -> None:
        def write(session: Session) -> None:
            records.write_facts(session, self.run_id, facts.as_json())
            records.write_snapshot(session, self.run_id, self.attempt, 0, "samples", samples)

        self._write(write)

    def on_progress(self, progress: Progress) -> None:
        """Keep a told batch loss, and write where the run is twice a second."""
        if progress.batch_loss is not None:
            step, epoch = progress.total_steps, progress.epoch
            self._pending.append(MetricRow("train", "batch_loss", step, epoch, progress.batch_loss))
        now = time.monotonic()
        if now - self._told_at < PROGRESS_SECONDS and progress.phase == self._phase:
            return
        self._told_at, self._phase = now, progress.phase

        def write(session: Session) -> None:
            transitions.progress(
                session,
                self.run_id,
                self.attempt,
                epoch=progress.epoch,
                step=progress.step,
                num_steps=progress.num_steps,
                phase=progress.phase,
            )
            records.write_metrics(session, self.run_id, self.attempt, self._pending)

        self._write(write)
        self._pending = []

    def on_epoch(self, report: EpochReport) -> None:
        """Write the checkpoint, then everything of the epoch in one transaction, then clean up."""
        data_dir, folder = settings().data_dir, settings().run_dir(self.run_id)
        kept: list[str] = []
        file = checkpoints.write(
            folder,
            report.epoch,
            self.attempt,
            report.state,
            self.scenario_digest,
        )

        def write(session: Session) -> None:
            run_id, attempt, epoch = self.run_id, self.attempt, report.epoch
            records.write_metrics(session, run_id, attempt, self._pending + _metric_rows(report))
            records.write_class_metrics(session, run_id, attempt, _class_rows(report))
            if report.snapshot is not None:
                self._write_snapshot(session, epoch, report.snapshot)
            path = str(file.path.relative_to(data_dir))
            records.write_checkpoint(session, run_id, attempt, epoch, path, file.size, file.sha256)
            kept[:] = self._prune(session)
            transitions.epoch_done(session, run_id, attempt, epoch)

        self._write(write)
        self._pending = []
        checkpoints.sweep(folder, self.attempt, kept)

    def on_finish(self, report: FinalReport) -> None:
        """Write the test results and the run's success in one transaction."""

        def write(session: Session) -> None:
            run_id, attempt = self.run_id, self.attempt
            rows = evaluation_rows("test", report.test, report.epoch, report.step)
            records.write_metrics(session, run_id, attempt, rows)
            class_rows = class_evaluation_rows("test", report.test, report.epoch)
            records.write_class_metrics(session, run_id, attempt, class_rows)
            card, outcomes = report.card.as_json(), report.outcomes
            records.write_evaluation_card(session, run_id, card)
            n = len(outcomes["label"])
            final = NewEvaluation(FINAL, "attack", n, card, outcomes=outcomes)
            write_evaluation(session, run_id, attempt, final)
            transitions.finish(session, run_id, attempt, RunStatus.SUCCEEDED)

        self._write(write)

    def _write_snapshot(self, session: Session, epoch: int, snapshot: Snapshot) -> None:
        run_id, attempt = self.run_id, self.attempt
        records.write_snapshot(session, run_id, attempt, epoch, "assignment", snapshot.columns)
        records.write_snapshot(session, run_id, attempt, epoch, "gallery", snapshot.gallery)
        rows = [ClassSummaryRow(epoch=epoch, **vars(item)) for item in snapshot.distributions]
        records.write_class_summaries(session, run_id, attempt, rows)

    def _prune(self, session: Session) -> list[str]:
        """Drop the rows of all but the newest checkpoints and return the names of their files."""
        rows = queries.checkpoints(session, self.run_id)
        old = [row.epoch for row in rows[checkpoints.KEPT :]]
        records.drop_checkpoints(session, self.run_id, old)
        return [Path(row.path).name for row in rows[: checkpoints.KEPT]]

    def _write(self, write: Callable[[Session], None]) -> None:
        """Write in one fenced transaction; wait for a database that is away for a moment."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self.database.write() as session:
                    if not transitions.fence(session, self.run_id, self.attempt):
                        raise ReplacedError(
                            f"attempt {self.attempt} of run {self.run_id} was replaced"
                        )
                    write(session)
            except (DatabaseBusyError, DatabaseUnreachableError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                return


def _metric_rows(report: EpochReport) -> list[MetricRow]:
    training = [
        MetricRow("train", name, report.step, report.epoch, value)
        for name, value in report.measures.items()
    ]
    return training + evaluation_rows("validation", report.validation, report.epoch, report.step)


def evaluation_rows(split: str, result: Evaluation, epoch: int, step: int) -> list[MetricRow]:
    """Return average and worst-class errors, as shares of 1."""
    rows = []
    for name, wrong in result.errors().items():
        found = spread(wrong, result.count)
        rows.append(MetricRow(split, name, step, epoch, found.average))
        rows.append(MetricRow(split, f"worst_{name}", step, epoch, found.worst))
    return rows


def class_evaluation_rows(split: str, result: Evaluation, epoch: int) -> list[ClassMetricRow]:
    """Return errors per class, as shares of the class's images; a class without any has none."""
    return [
        ClassMetricRow(split, name, epoch, index, float(wrong[index] / n) if n else None, n)
        for name, wrong in result.errors().items()
        for index, n in enumerate(result.count.tolist())
    ]


def _class_rows(report: EpochReport) -> list[ClassMetricRow]:
    rows = class_evaluation_rows("validation", report.validation, report.epoch)
    for name, values in report.class_measures.items():
        counted = zip(values, report.class_counts, strict=True)
        rows += [
            ClassMetricRow("train", name, report.epoch, index, value, n)
            for index, (value, n) in enumerate(counted)
        ]
    return rows
