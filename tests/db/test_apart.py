"""What is read of a run, and what is done to it, is its own: another run stands beside it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sqlalchemy import select

from db import evaluations
from db.models import FINAL, Base, Run, RunStatus
from db.reads import comparison, leases, listing, queries, samples, series
from db.reads.headline import headlines
from db.writes import deletion, records, transitions
from db.writes.records import ClassMetricRow, ClassSummaryRow, MetricRow

ERRORS = ("natural_error", "boundary_error", "robust_error")
WORKER = transitions.WorkerIdentity("worker-2", "host-2", "boot-2", 99, "cuda:0")


def write(session: Any, run_id: str, attempt: int, epochs: list[int], share: float) -> None:
    """Record one of everything in each epoch; the last one is tested."""
    for epoch in epochs:
        last = epoch == epochs[-1]
        for split in ("validation", "test") if last else ("validation",):
            rows = [MetricRow(split, name, 10 * epoch, epoch, share) for name in ERRORS]
            records.write_metrics(session, run_id, attempt, rows=rows)
            by_class = [
                ClassMetricRow(split, name, epoch, place, share + place / 100, 20 + epoch)
                for name in ERRORS
                for place in range(len(epochs))
            ]
            records.write_class_metrics(session, run_id, attempt, rows=by_class)
        summary = ClassSummaryRow(epoch, f"bound {share}", "all", epoch, 5, share, [share] * 41)
        shared = ClassSummaryRow(epoch, "bound", "all", epoch, 5, share, [share] * 41)
        records.write_class_summaries(session, run_id, attempt, rows=[summary, shared])
        for kind in ("assignment", "gallery"):
            columns = {"bound": np.full(3, share)}
            records.write_snapshot(
                session, run_id, attempt, epoch=epoch, kind=kind, columns=columns
            )
        path = f"{run_id}/{epoch}"
        records.write_checkpoint(
            session, run_id, attempt, epoch=epoch, path=path, size=9, sha256="0" * 64
        )
        transitions.epoch_done(session, run_id, attempt, epoch=epoch)
    records.write_facts(session, run_id, {"class_names": [f"{share} {n}" for n in range(9)]})
    for name in (FINAL, f"other {share}"):
        said = {"sample": np.arange(len(epochs))}
        new = evaluations.NewEvaluation(name, "attack", len(epochs), {"share": share}, None, said)
        evaluations.write_evaluation(session, run_id, attempt, new=new)


def plain(found: Any) -> Any:
    """Return what can be compared, without what moves with the clock."""
    if hasattr(found, "to_dict"):
        return found.to_dict("records")
    if isinstance(found, dict):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    if hasattr(found, "__dataclass_fields__"):
        moving = ("seconds_still", "lease_left")
        return plain({name: value for name, value in vars(found).items() if name not in moving})
    return found.tolist() if isinstance(found, np.ndarray) else found


READS: dict[str, Callable[[Any, str], Any]] = {
    "run": queries.get_run,
    "row": lambda session, run_id: [r for r in queries.list_runs(session) if r.id == run_id],
    "metrics": series.metrics,
    "class metrics": series.class_metrics,
    "summaries": series.class_summaries,
    "recorded": series.recorded_epochs,
    "gallery": series.gallery_epochs,
    "snapshot": lambda session, run_id: series.snapshot(session, run_id, 3, kind="assignment"),
    "snapshots": lambda session, run_id: list(series.snapshots(session, run_id, "gallery")),
    "events": queries.events,
    "checkpoints": queries.checkpoints,
    "final": queries.final_metrics,
    "headline": lambda session, run_id: headlines(session, [run_id]),
    "overall": lambda session, run_id: comparison.overall_errors(session, [run_id], "test"),
    "by class": lambda session, run_id: comparison.class_errors(session, [run_id]),
    "history": lambda session, run_id: samples.history(session, run_id, "bound"),
    "quantities": lambda session, run_id: sorted(samples.quantities(session, run_id, 3)),
    "courses": lambda session, run_id: samples.courses(
        session, run_id, [1, 2, 3], names=["bound"], row=0
    ),
    "evaluations": evaluations.evaluations,
    "outcomes": lambda s, run_id: evaluations.outcomes(s, run_id, FINAL),
    "holders": leases.holders,
    "curve": lambda session, run_id: listing.curves(session, [run_id]),
    "scenario": lambda session, run_id: listing.scenarios(session, [run_id]),
    "began so": lambda session, run_id: queries.find_runs(session, run_id[:20]),
}


def test_what_is_read_of_a_run_does_not_change_with_what_stands_of_another(database, running):
    mine, attempt = running(database, name="mine")
    with database.write() as session:
        write(session, mine, attempt, [2, 3], 0.25)
        before = {name: plain(read(session, mine)) for name, read in READS.items()}
    other, _ = running(database, name="other", scenario={"seed": 9})
    with database.write() as session:
        write(session, other, 1, [1, 2, 3, 4, 5], 0.5)
        transitions.interrupt(session, other, 1, reason="lost", message="gone")
        transitions.requeue(session, other, "tester", reason="retry")
        transitions.claim(session, other, WORKER, lease_seconds=60)
        write(session, other, 2, [4, 5, 6], 0.75)
        for name, read in READS.items():
            assert plain(read(session, mine)) == before[name] != plain(read(session, other)), name
            assert before[name], name


def rows_of(session: Any, run_id: str) -> list[str]:
    """Return every stored row of a run."""
    return sorted(
        repr((table.name, *row))
        for table in Base.metadata.sorted_tables
        if "run_id" in table.c or table.name == "run"
        for row in session.execute(
            select(table).where(table.c["id" if table.name == "run" else "run_id"] == run_id)
        )
    )


def evaluated_again(session: Any, run_id: str) -> None:
    new = evaluations.NewEvaluation(FINAL, "attack", 1, {})
    evaluations.write_evaluation(session, run_id, 1, new=new)


DEEDS: dict[str, Callable[[Any, str], Any]] = {
    "remark": lambda s, run_id: transitions.remark(s, run_id, 1, reason="why", message="said"),
    "heartbeat": lambda s, run_id: transitions.heartbeat(s, run_id, 1, lease_seconds=999),
    "progress": lambda s, run_id: transitions.progress(
        s, run_id, 1, epoch=9, step=9, num_steps=9, phase="testing"
    ),
    "epoch": lambda s, run_id: transitions.epoch_done(s, run_id, 1, epoch=9),
    "facts": lambda s, run_id: records.write_facts(s, run_id, {"new": 1}),
    "card": lambda s, run_id: records.write_evaluation_card(s, run_id, {"new": 1}),
    "dropping": lambda s, run_id: records.drop_checkpoints(s, run_id, [2, 3]),
    "evaluation": evaluated_again,
    "interruption": lambda s, run_id: transitions.interrupt(
        s, run_id, 1, reason="lost", message="gone"
    ),
    "resume": lambda s, run_id: transitions.requeue(s, run_id, "tester", reason="user"),
    "sending": lambda s, _: transitions.take_unsent(s, 30),
    "claim": lambda s, run_id: transitions.claim(s, run_id, WORKER, lease_seconds=60),
    "stop": lambda s, run_id: transitions.request_stop(s, run_id, "tester"),
    "end": lambda s, run_id: transitions.finish(s, run_id, 2, status=RunStatus.CANCELLED),
    "deletion": lambda s, run_id: deletion.start_deletion(s, run_id, "tester"),
    "files": lambda s, run_id: deletion.files_deleted(s, run_id, [1]),
    "last row": lambda s, run_id: deletion.finish_deletion(s, run_id),
}


def test_what_is_done_to_a_run_changes_no_row_of_another(database, running):
    mine, _ = running(database)
    other, _ = running(database)
    with database.write() as session:
        for run_id in (mine, other):
            write(session, run_id, 1, [1, 2, 3], 0.25)
    for name, deed in DEEDS.items():
        with database.write() as session:
            own, before = rows_of(session, mine), rows_of(session, other)
            found = deed(session, mine)
        with database.read() as session:
            assert rows_of(session, mine) != own, name
            assert rows_of(session, other) == before, name
        if name == "files":
            assert found == 1  # the attempt whose files are elsewhere
    with database.read() as session:
        assert session.execute(select(Run.id)).scalars().all() == [other]


def test_who_acts_is_the_worker_of_the_very_attempt(database, running, queued):
    held, _ = running(database)
    run_id = queued(database)
    with database.write() as session:
        transitions.claim(session, run_id, WORKER, lease_seconds=60)
        transitions.interrupt(session, run_id, 1, reason="lost", message=None)
        transitions.requeue(session, run_id, "tester", reason="user")
        transitions.claim(
            session, run_id, transitions.WorkerIdentity("w3", "h", "b", 1, "c"), lease_seconds=60
        )
        transitions.finish(session, run_id, 2, status=RunStatus.FAILED)
        transitions.finish(session, held, 1, status=RunStatus.SUCCEEDED)
        ends = [queries.events(session, which)[-1].actor for which in (run_id, held)]
        lost = queries.events(session, run_id)[2]
    assert ends == ["w3", "worker-1"]
    assert (lost.to_status, lost.actor) == ("interrupted", "worker-2")
