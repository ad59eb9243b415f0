"""The observer that writes rows: one transaction an epoch, none once the run is someone else's."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from sqlalchemy.orm import Session

from db.evaluations import NewEvaluation, write_evaluation
from db.models import FINAL, RunStatus
from db.reads import queries
from db.session import Database
from db.writes import records, transitions
from db.writes.records import ClassMetricRow, ClassSummaryRow, MetricRow
from engine.evaluation.evaluate import Evaluation
from engine.evaluation.statistics import spread
from engine.training.observer import EpochReport, FinalReport, Progress, RunFacts, Snapshot
from tasks.folder import make
from tasks.processes.database_retry import retry_transient
from tasks.recording import causes, checkpoints, exactness
from tasks.settings import settings

PROGRESS_SECONDS = 0.5
"""Progress is written at most so often."""
ALIVE_SECONDS = 60.0
"""A long look at the test data says at least so often that it gets on."""
RETRY_SECONDS = 60.0
"""How long a transaction waits for a database that does not answer."""


class ReplacedError(RuntimeError):
    """Another attempt has taken this run; nothing may be written any more."""


@dataclass(frozen=True)
class Start:
    """What an attempt goes on from.

    Attributes:
        epoch: Of the checkpoint that it could use; 0 is the beginning.
        facts: What the trainer of that one measured at its start.
    """

    epoch: int = 0
    facts: dict[str, Any] | None = None


class Recorder:
    """Writes what a trainer reports, as one attempt of one run."""

    def __init__(
        self,
        database: Database,
        run_id: str,
        attempt: int,
        *,
        scenario_digest: str,
        should_stop: Callable[[], bool],
        start: Start = Start(),
    ) -> None:
        """Record as one attempt of a run.

        Its folder is made here, once: what writes later finds it, or was told to write no more.
        """
        make(settings().run_dir(run_id))
        self.database, self.run_id, self.attempt = database, run_id, attempt
        self.scenario_digest = scenario_digest
        self._stop, self._start = should_stop, start
        self._is_exact = True
        self._place: Progress | None = None
        self._pending: list[MetricRow] = []
        self._told_at = 0.0

    def on_start(self, facts: RunFacts, samples: dict[str, npt.NDArray[Any]]) -> None:
        now, earlier = facts.as_json(), self._start.facts or {}
        found = exactness.differences(earlier, now)
        self._is_exact = not found

        def write(session: Session) -> None:
            run_id, attempt = self.run_id, self.attempt
            if found:
                text = exactness.label(found)
                transitions.remark(
                    session, run_id, attempt, reason=exactness.NOT_EXACT, message=text
                )
            marks = [*earlier.get(exactness.NOT_EXACT, []), *found]
            records.write_facts(session, run_id, now | {exactness.NOT_EXACT: marks})
            records.write_snapshot(
                session, self.run_id, self.attempt, epoch=0, kind="samples", columns=samples
            )

        self._write(write)

    def on_progress(self, progress: Progress) -> None:
        """Keep a told batch loss, and write where the run is twice a second."""
        if progress.batch_loss is not None:
            step, epoch = progress.total_steps, progress.epoch
            self._pending.append(MetricRow("train", "batch_loss", step, epoch, progress.batch_loss))
        waits = time.monotonic() - self._told_at < PROGRESS_SECONDS
        if not waits or self._place is None or progress.phase != self._place.phase:
            self._tell(progress)

    def should_stop(self) -> bool:
        """Tell whether to stop; and, where no step is told for long, that the trainer gets on."""
        if self._place is not None and time.monotonic() - self._told_at > ALIVE_SECONDS:
            self._tell(self._place)
        return self._stop()

    def _tell(self, progress: Progress) -> None:
        self._told_at, self._place = time.monotonic(), progress

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
            records.write_metrics(session, self.run_id, self.attempt, rows=self._pending)

        self._write(write)
        self._pending = []

    def on_epoch(self, report: EpochReport) -> None:
        """Write the checkpoint, then everything of the epoch in one transaction, then clean up."""
        data_dir, folder = settings().data_dir, settings().run_dir(self.run_id)
        kept: list[str] = []
        file = self._save(folder, report)

        def write(session: Session) -> None:
            run_id, attempt, epoch = self.run_id, self.attempt, report.epoch
            self._compare(session, _metric_rows(report))
            records.write_metrics(
                session, run_id, attempt, rows=self._pending + _metric_rows(report)
            )
            records.write_class_metrics(session, run_id, attempt, rows=_class_rows(report))
            if report.snapshot is not None:
                self._write_snapshot(session, epoch, report.snapshot)
            path = str(file.path.relative_to(data_dir))
            records.write_checkpoint(
                session, run_id, attempt, epoch=epoch, path=path, size=file.size, sha256=file.sha256
            )
            kept[:] = self._prune(session, checkpoints.KEPT)
            transitions.epoch_done(session, run_id, attempt, epoch=epoch)

        self._write(write)
        self._pending = []
        checkpoints.delete_unreferenced(folder, self.attempt, kept)

    def on_finish(self, report: FinalReport) -> None:
        """Write the test results and the run's success in one transaction."""

        def write(session: Session) -> None:
            run_id, attempt = self.run_id, self.attempt
            rows = evaluation_rows("test", report.test, report.epoch, step=report.step)
            records.write_metrics(session, run_id, attempt, rows=rows)
            class_rows = class_evaluation_rows("test", report.test, report.epoch)
            records.write_class_metrics(session, run_id, attempt, rows=class_rows)
            card, outcomes = report.card.as_json(), report.outcomes
            records.write_evaluation_card(session, run_id, card)
            n = len(outcomes["label"])
            final = NewEvaluation(FINAL, "attack", n, card, outcomes=outcomes)
            write_evaluation(session, run_id, attempt, new=final)
            transitions.finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)

        self._write(write)

    def _compare(self, session: Session, rows: list[MetricRow]) -> None:
        """Raise an alarm, once, if an epoch that is done again gives other numbers."""
        if self.attempt == 1 or not self._is_exact:
            return
        changed = records.changed_since(session, self.run_id, self.attempt, rows=rows)
        if changed:
            self._is_exact = False
            text = f"Epoch {rows[0].epoch} was done again and differs in {', '.join(changed)}"
            transitions.remark(
                session, self.run_id, self.attempt, reason="determinism", message=text
            )

    def remark(self, reason: str, message: str) -> None:
        """Tell what a person should find in the run's log of events."""
        self._write(
            lambda session: transitions.remark(
                session, self.run_id, self.attempt, reason=reason, message=message
            )
        )

    def _write_snapshot(self, session: Session, epoch: int, snapshot: Snapshot) -> None:
        run_id, attempt = self.run_id, self.attempt
        records.write_snapshot(
            session, run_id, attempt, epoch=epoch, kind="assignment", columns=snapshot.columns
        )
        records.write_snapshot(
            session, run_id, attempt, epoch=epoch, kind="gallery", columns=snapshot.gallery
        )
        rows = [ClassSummaryRow(epoch=epoch, **vars(item)) for item in snapshot.distributions]
        records.write_class_summaries(session, run_id, attempt, rows=rows)

    def _save(self, folder: Path, report: EpochReport) -> checkpoints.Written:
        """Write the checkpoint; on a full disk, once more after all but the newest are gone.

        Raises:
            NoRoomError: The disk is full even so; what was there before is whole.
        """
        for is_first in (True, False):
            try:
                return checkpoints.write(
                    folder,
                    report.epoch,
                    self.attempt,
                    state=report.state,
                    scenario_digest=self.scenario_digest,
                )
            except OSError as error:
                if not causes.is_disk_full(error):
                    raise
            if is_first:
                self._make_room(folder)
        raise checkpoints.NoRoomError(sum(value.nbytes for value in report.state.values()))

    def _make_room(self, folder: Path) -> None:
        kept: list[str] = []
        self._write(lambda session: kept.extend(self._prune(session, 1)))
        checkpoints.delete_unreferenced(folder, self.attempt, kept)

    def _prune(self, session: Session, keep: int) -> list[str]:
        """Drop the rows of checkpoints that are not kept; return the names of the others' files."""
        rows = queries.checkpoints(session, self.run_id)
        kept = checkpoints.kept(rows, self.attempt, self._start.epoch, keep=keep)
        gone = [row.epoch for row in rows if row not in kept]
        records.drop_checkpoints(session, self.run_id, gone)
        return [Path(row.path).name for row in kept]

    def _write(self, write: Callable[[Session], object]) -> None:
        """Write in one fenced transaction; wait for a database that is away for a moment."""

        def fenced() -> None:
            with self.database.write() as session:
                if not transitions.fence(session, self.run_id, self.attempt):
                    raise ReplacedError(f"attempt {self.attempt} of run {self.run_id} was replaced")
                write(session)

        retry_transient(fenced, RETRY_SECONDS)


def _metric_rows(report: EpochReport) -> list[MetricRow]:
    training = [
        MetricRow("train", name, report.step, report.epoch, value)
        for name, value in report.measures.items()
    ]
    return training + evaluation_rows(
        "validation", report.validation, report.epoch, step=report.step
    )


def evaluation_rows(split: str, result: Evaluation, epoch: int, *, step: int) -> list[MetricRow]:
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
