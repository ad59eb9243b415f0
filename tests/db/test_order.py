"""Rows come in the order that is promised, however they were stored."""

from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import update

from db import evaluations
from db.models import Evaluation, Run, RunStatus, Worker
from db.reads import comparison, queries, samples, series
from db.reads.throughput import timed_runs
from db.workers import WorkerReport, upsert_worker
from db.writes import interruption, records, transitions
from db.writes.records import ClassMetricRow, ClassSummaryRow, MetricRow

EPOCHS = (3, 1, 4, 2)
NAMES = ("robust_error", "boundary_error", "natural_error")


def day(number: int) -> datetime:
    return datetime(2026, 1, 1 + number, tzinfo=UTC)


@pytest.fixture
def shuffled(database, running):
    """Write a run's rows one by one, in no order at all."""
    run_id, attempt = running(database, num_epochs=9)
    for epoch in EPOCHS:
        for split in ("validation", "test"):
            for name in NAMES:
                with database.write() as session:
                    row = MetricRow(split, name, 10 * epoch, epoch, epoch / 10)
                    records.write_metrics(session, run_id, attempt, rows=[row])
                    by_class = [
                        ClassMetricRow(split, name, epoch, place, place / 10, 9)
                        for place in (2, 0, 1)
                    ]
                    records.write_class_metrics(session, run_id, attempt, rows=by_class)
        with database.write() as session:
            rows = [
                ClassSummaryRow(epoch, quantity, group, place, 5, 0.5, [0.5] * 41)
                for quantity in ("loss", "bound")
                for group in ("flipped", "all")
                for place in (2, 0, 1)
            ]
            records.write_class_summaries(session, run_id, attempt, rows=rows)
            columns = {"bound": np.full(2, epoch)}
            records.write_snapshot(
                session, run_id, attempt, epoch=epoch, kind="assignment", columns=columns
            )
            records.write_checkpoint(
                session, run_id, attempt, epoch=epoch, path=f"e{epoch}", size=1, sha256="0" * 64
            )
            new = evaluations.NewEvaluation(f"look {epoch}", "attack", 1, {})
            evaluations.write_evaluation(session, run_id, attempt, new=new)
            named = Evaluation.name == new.name
            session.execute(update(Evaluation).where(named).values(created_at=day(9 - epoch)))
    return run_id


def assert_sorted(table, columns: list[str]) -> None:
    keys = table[columns].to_numpy().tolist()
    assert keys == sorted(keys)
    assert len(keys) > len(EPOCHS)


def test_series_come_by_split_name_and_time(database, shuffled):
    with database.read() as session:
        assert_sorted(series.metrics(session, shuffled), ["split", "name", "step"])
        by_class = series.class_metrics(session, shuffled)
        assert_sorted(by_class, ["split", "name", "epoch", "class_index"])
        summaries = series.class_summaries(session, shuffled)
        assert_sorted(summaries, ["epoch", "quantity", "label_group", "class_index"])
        overall = comparison.overall_errors(session, [shuffled], "test", names=NAMES)
        assert_sorted(overall, ["run_id", "name", "epoch"])
        assert_sorted(
            comparison.class_errors(session, [shuffled]), ["run_id", "name", "class_index"]
        )
        history = samples.history(session, shuffled, "bound")
        assert_sorted(history, ["epoch", "label_group", "class_index"])


def test_epochs_come_in_turn_and_checkpoints_the_newest_first(database, shuffled):
    with database.read() as session:
        assert series.recorded_epochs(session, shuffled) == [1, 2, 3, 4]
        found = [epoch for epoch, _ in series.snapshots(session, shuffled, "assignment")]
        assert found == [1, 2, 3, 4]
        course = samples.courses(session, shuffled, EPOCHS, names=["bound"], row=1)
        assert course["bound"].tolist() == [1, 2, 3, 4]
        assert [row.epoch for row in queries.checkpoints(session, shuffled)] == [4, 3, 2, 1]
        looks = [row.name for row in evaluations.evaluations(session, shuffled)]
        assert looks == ["look 4", "look 3", "look 2", "look 1"]  # as they were made
        final = queries.final_metrics(session, shuffled)["robust_error"]
    assert final["average"] == 0.4  # of the newest epoch
    assert [entry["class"] for entry in final["per_class"]] == ["0", "1", "2"]


def queue(database, queued, days: list[int], **columns: str) -> list[str]:
    """Queue runs whose times lie so many days after another; return them the oldest first."""
    found = {}
    for number in days:
        run_id = queued(database)
        found[number] = run_id
        times = {column: day(number) for column in ("queued_at", "created_at", "ended_at")}
        with database.write() as session:
            session.execute(update(Run).where(Run.id == run_id).values(**times, **columns))
    return [found[number] for number in sorted(found)]


def test_what_waits_longest_is_told_first_a_few_at_a_time(database, queued):
    oldest_first = queue(database, queued, [3, 1, 4, 0, 2])
    with database.write() as session:
        assert queries.runs_with_status(session, RunStatus.QUEUED) == oldest_first
        assert transitions.take_unsent(session, 30, at_most=2) == oldest_first[:2]
        assert transitions.take_unsent(session, 30, at_most=9) == oldest_first[2:]


def test_what_was_queued_first_is_resumed_first(database, queued, worker):
    oldest_first = queue(database, queued, [2, 0, 1])
    with database.write() as session:
        for run_id in oldest_first[::-1]:
            transitions.claim(session, run_id, worker, lease_seconds=60)
            transitions.interrupt(session, run_id, 1, reason=transitions.DRAIN, message=None)
        found = interruption.resumable(session, 30)
    assert [waiting.run_id for waiting in found] == oldest_first


def test_what_ended_last_is_compared_first_and_what_was_made_last_listed_first(database, queued):
    newest_first = queue(database, queued, [3, 1, 0, 2], status="succeeded")[::-1]
    with database.write() as session:
        session.execute(update(Run).values(created_at=day(0)))
        for place, run_id in enumerate(newest_first):
            session.execute(update(Run).where(Run.id == run_id).values(created_at=day(place)))
            columns = {"bound": np.zeros(1)}
            records.write_snapshot(session, run_id, 1, epoch=1, kind="assignment", columns=columns)
        assert [row.id for row in comparison.finished_runs(session)] == newest_first
        assert [row.id for row in queries.list_runs(session)] == newest_first[::-1]
        assert [row.id for row in samples.recorded_runs(session)] == newest_first[::-1]


def test_times_are_taken_from_whole_runs_on_the_dataset_the_newest_first(database, running):
    names = ("older", "newer", "elsewhere", "twice", "failed", "empty")
    runs = {name: running(database, method=name)[0] for name in names}
    with database.write() as session:
        for place, (name, run_id) in enumerate(runs.items()):
            records.write_facts(session, run_id, {"name": name})
            transitions.epoch_done(session, run_id, 1, epoch=0 if name == "empty" else 3)
            end = RunStatus.FAILED if name == "failed" else RunStatus.SUCCEEDED
            if name == "twice":
                transitions.interrupt(session, run_id, 1, reason="lost", message=None)
                transitions.requeue(session, run_id, "tester", reason="user")
                number = transitions.claim(
                    session,
                    run_id,
                    transitions.WorkerIdentity("w", "h", "b", 1, "c"),
                    lease_seconds=60,
                )
            else:
                number = 1
            assert transitions.finish(session, run_id, number, status=end)
            changes = {"dataset": "mnist"} if name == "elsewhere" else {}
            ended = {"ended_at": day(place), **changes}
            session.execute(update(Run).where(Run.id == run_id).values(**ended))
        assert [run.method for run in timed_runs(session, "digits")] == ["newer", "older"]
        assert [run.method for run in timed_runs(session, "digits", limit=1)] == ["newer"]
        assert [run.method for run in timed_runs(session, "mnist")] == ["elsewhere"]


def test_the_worker_that_was_seen_last_stands_first_and_one_of_today_is_not_too_old(database):
    with database.write() as session:
        for place, name in enumerate(("b", "d", "a", "c")):
            upsert_worker(session, WorkerReport(name, "host", place, "cpu", "a CPU", "0.1"))
            seen = update(Worker).where(Worker.id == name).values(last_seen=day(place))
            session.execute(seen)
        session.execute(update(Worker).where(Worker.id == "a").values(revision="0001"))
        found = queries.workers(session)
    assert [row.id for row in found] == ["c", "a", "d", "b"]
    assert [row.too_old for row in found] == [False, True, False, False]
