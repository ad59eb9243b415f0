"""A data directory with runs in every state, written as a trainer writes them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sqlalchemy import delete, insert

from db import workers
from db.evaluations import NewEvaluation, write_evaluation
from db.models import FINAL, ClassSummary, RunStatus, StudyCell
from db.reads import queries
from db.reads.rows import RunRow
from db.session import Database
from db.writes import records, transitions
from db.writes.records import ClassMetricRow, ClassSummaryRow, MetricRow
from engine.inspection.distributions import class_distributions
from engine.scenario import Scenario
from tasks.queue.submit import row_of
from tests.app.recorded import (
    STEPS,
    assignment,
    card,
    class_errors,
    errors,
    facts,
    gallery,
    identity,
    outcomes,
    summaries,
)


class Studio:
    """One installation: its database, and short ways to put runs into it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.worker = transitions.WorkerIdentity("worker-1", "lab-01", "boot", 4242, "cpu")

    def queued(self, name: str = "A run", study: str | None = None, **settings: Any) -> str:
        scenario = Scenario.model_validate(settings).model_copy(update={"name": name})
        with self.database.write() as session:
            return transitions.create_run(session, row_of(scenario, study), "test")[0]

    def running(self, name: str = "A run", epochs: int = 3, **settings: Any) -> str:
        """A run with some recorded epochs, in the middle of the next one."""
        run_id = self.queued(name, **settings)
        with self.database.write() as session:
            attempt = transitions.claim(session, run_id, self.worker, lease_seconds=3600)
            records.write_facts(session, run_id, facts())
            records.write_snapshot(session, run_id, 1, epoch=0, kind="samples", columns=identity())
        assert attempt == 1
        for epoch in range(1, epochs + 1):
            self.record_epoch(run_id, epoch)
        with self.database.write() as session:
            transitions.progress(
                session,
                run_id,
                1,
                epoch=epochs + 1,
                step=4,
                num_steps=STEPS,
                phase="training",
            )
        return run_id

    def finished(self, name: str = "A run", epochs: int = 3, **settings: Any) -> str:
        run_id = self.running(name, epochs, training={"epochs": epochs}, **settings)
        with self.database.write() as session:
            records.write_metrics(session, run_id, 1, rows=errors("test", epochs))
            records.write_class_metrics(session, run_id, 1, rows=class_errors("test", epochs))
            records.write_evaluation_card(session, run_id, card())
            transitions.finish(session, run_id, 1, status=RunStatus.SUCCEEDED)
        self.attacked(run_id, FINAL)
        return run_id

    def learned(self, values: Callable[[int], Any], epochs: int = 3, **settings: Any) -> str:
        """A finished run that gave its samples such values, epoch by epoch."""
        run_id = self.running("Learned", epochs, training={"epochs": epochs}, **settings)
        who = identity()
        with self.database.write() as session:
            session.execute(delete(ClassSummary).where(ClassSummary.run_id == run_id))
            for epoch in range(1, epochs + 1):
                columns = values(epoch)
                rows = class_distributions(
                    columns, who["given_label"], who["true_label"], num_classes=10
                )
                stored = [ClassSummaryRow(epoch=epoch, **vars(row)) for row in rows]
                records.write_class_summaries(session, run_id, 1, rows=stored)
                columns = {"sample": who["sample"], **columns}
                records.write_snapshot(
                    session, run_id, 1, epoch=epoch, kind="assignment", columns=columns
                )
            transitions.finish(session, run_id, 1, status=RunStatus.SUCCEEDED)
        return run_id

    def attacked(
        self, run_id: str, name: str, *, in_vain: bool = False, space: str = "pixels"
    ) -> None:
        """Store an attack on a run, or one that changes no prediction."""
        said = outcomes()
        said |= {"attacked": said["clean"]} if in_vain else {}
        with self.database.write() as session:
            new = NewEvaluation(name, "attack", 100, card() | {"space": space}, outcomes=said)
            write_evaluation(session, run_id, 1, new=new)

    def found(self, run_id: str, kind: str, findings: dict[str, Any]) -> None:
        """Store a security curve or masking checks."""
        with self.database.write() as session:
            new = NewEvaluation(kind, kind, 100, card(), findings)
            write_evaluation(session, run_id, 1, new=new)

    def measured(self, run_id: str, robust: list[float], **card_changes: Any) -> None:
        """Put other test results in the place of a finished run's: no natural error, ten classes.

        Args:
            run_id: The run.
            robust: Robust error of each class, shares in whole tenths.
            card_changes: What its protocol has otherwise.
        """
        values = {"natural_error": [0.0] * 10, "boundary_error": robust, "robust_error": robust}
        overall = {
            "natural_error": 0.0,
            "worst_natural_error": 0.0,
            "robust_error": float(np.mean(robust)),
            "worst_robust_error": max(robust),
        }
        said = outcomes()
        place = np.tile(np.arange(10), 10)
        lost = place < np.rint(10 * np.array(robust))[said["label"]]
        said["clean"] = said["label"]
        said["attacked"] = np.where(lost, (said["label"] + 1) % 10, said["label"])
        protocol = {**card(), **card_changes}
        by_class = [
            ClassMetricRow("test", name, 3, index, value, 10)
            for name, of_class in values.items()
            for index, value in enumerate(of_class)
        ]
        rows = [MetricRow("test", name, 3 * STEPS, 3, value) for name, value in overall.items()]
        with self.database.write() as session:
            records.write_metrics(session, run_id, 1, rows=rows)
            records.write_class_metrics(session, run_id, 1, rows=by_class)
            records.write_evaluation_card(session, run_id, protocol)
            new = NewEvaluation(FINAL, "attack", 100, protocol, outcomes=said)
            write_evaluation(session, run_id, 1, new=new)

    def called(self, run_id: str, study: str, scenario: str, method: str, **more: Any) -> None:
        """Give a run the names that a study's file has for it; ``family`` and ``place`` too."""
        names = {"scenario": scenario, "method": method, "family": method, "place": 0} | more
        with self.database.write() as session:
            session.execute(insert(StudyCell).values(study=study, run_id=run_id, **names))

    def failed(self, name: str, message: str) -> str:
        run_id = self.running(name, 1)
        with self.database.write() as session:
            transitions.finish(
                session, run_id, 1, status=RunStatus.FAILED, reason="error", message=message
            )
        return run_id

    def record_epoch(self, run_id: str, epoch: int, attempt: int = 1) -> None:
        train = {
            "loss": 2 / epoch,
            "learning_rate": 0.1,
            "adversary_weight": 1.5,
            "anti_adversary_weight": 0.1 * epoch,
            "saturation_share": 0.02,
            "meta_gradient_norm": 0.01 / epoch,
        }
        step = epoch * STEPS
        rows = [MetricRow("train", name, step, epoch, value) for name, value in train.items()]
        rows += [
            MetricRow("train", "batch_loss", step - k, epoch, 2 / epoch + 0.1 * k) for k in range(5)
        ]
        with self.database.write() as session:
            records.write_metrics(session, run_id, attempt, rows=rows + errors("validation", epoch))
            records.write_class_metrics(
                session, run_id, attempt, rows=class_errors("validation", epoch)
            )
            records.write_class_summaries(session, run_id, attempt, rows=summaries(epoch))
            records.write_snapshot(
                session, run_id, attempt, epoch=epoch, kind="assignment", columns=assignment()
            )
            records.write_snapshot(
                session, run_id, attempt, epoch=epoch, kind="gallery", columns=gallery()
            )
            transitions.epoch_done(session, run_id, attempt, epoch=epoch)

    def runs(self) -> list[RunRow]:
        """All runs, newest first."""
        with self.database.read() as session:
            return queries.list_runs(session)

    def status(self, run_id: str) -> str:
        with self.database.read() as session:
            run = queries.get_run(session, run_id)
        assert run is not None
        return run.status.value

    def report_worker(self, **changes: Any) -> None:
        known = {
            "id": "worker-1",
            "host": "lab-01",
            "pid": 4242,
            "device": "cuda:0",
            "device_name": "a GPU",
            "version": "0.1.0",
        }
        with self.database.write() as session:
            workers.upsert_worker(session, workers.WorkerReport(**{**known, **changes}))
