from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import event, update

from db.models import Run, RunStatus
from db.reads.queries import (
    checkpoints,
    events,
    final_metrics,
    find_runs,
    get_run,
    list_runs,
    queue_length,
    run_count,
    runs_with_status,
    workers,
)
from db.reads.series import (
    class_metrics,
    class_summaries,
    gallery_epochs,
    metrics,
    recorded_epochs,
    snapshot,
    snapshots,
)
from db.session import Database
from db.writes.deletion import start_deletion
from db.writes.records import (
    ClassMetricRow,
    ClassSummaryRow,
    MetricRow,
    write_class_metrics,
    write_class_summaries,
    write_facts,
    write_metrics,
    write_snapshot,
)
from db.writes.transitions import epoch_done, finish, progress

ERRORS = ("natural_error", "boundary_error", "robust_error")


def record_errors(
    database: Database, run_id: str, split: str, epoch: int, by_class: list[float]
) -> None:
    """Record three errors, each 0.1 above the one before, overall and per class."""
    overall = sum(by_class) / len(by_class)
    with database.write() as session:
        write_metrics(
            session,
            run_id,
            1,
            rows=[
                MetricRow(split, name, 10 * epoch, epoch, overall + 0.1 * place)
                for place, name in enumerate(ERRORS)
            ],
        )
        write_class_metrics(
            session,
            run_id,
            1,
            rows=[
                ClassMetricRow(split, name, epoch, class_index, value + 0.1 * place, 20)
                for place, name in enumerate(ERRORS)
                for class_index, value in enumerate(by_class)
            ],
        )


def headline(database: Database) -> tuple:
    with database.read() as session:
        (run,) = list_runs(session)
        detail = get_run(session, run.id)
    moving = {"seconds_still", "holder"}
    listed = {name: value for name, value in vars(run).items() if name not in moving}
    assert {name: getattr(detail, name) for name in listed} == listed
    return (
        run.result_split,
        run.natural_error,
        run.boundary_error,
        run.robust_error,
        run.worst_robust_error,
        run.worst_class,
    )


def test_a_run_without_results_has_no_headline(database, running):
    running(database)
    assert headline(database) == (None,) * 6


def test_the_headline_is_the_newest_validation_epoch_until_there_is_a_test(database, running):
    run_id, _ = running(database)
    record_errors(database, run_id, "validation", 1, [0.5, 0.7])
    record_errors(database, run_id, "validation", 2, [0.25, 0.125])
    split, *errors = headline(database)
    assert split == "validation"
    assert errors == pytest.approx([0.1875, 0.2875, 0.3875, 0.45, 0])
    record_errors(database, run_id, "test", 2, [0.5, 0.5])
    split, *errors = headline(database)
    assert split == "test"
    assert errors == pytest.approx([0.5, 0.6, 0.7, 0.7, 0])


def test_each_run_of_a_list_has_its_own_errors_and_the_worst_class_of_its_split(database, running):
    runs = [running(database)[0] for _ in range(3)]
    record_errors(database, runs[0], "test", 2, [0.25, 0.5])
    record_errors(database, runs[0], "validation", 4, [0.75, 0.0])  # the best epoch was tested
    record_errors(database, runs[1], "test", 2, [0.75, 0.75, 0.25])
    with database.read() as session:
        found = {run.id: run for run in list_runs(session)}
    told = [
        (run.result_split, run.natural_error, run.worst_class, run.worst_robust_error)
        for run in (found[run_id] for run_id in runs)
    ]
    assert told[0] == pytest.approx(("test", 0.375, 1, 0.7))
    assert told[1] == pytest.approx(("test", 1.75 / 3, 0, 0.95))  # of equal ones the first
    assert told[2] == (None, None, None, None)


def test_a_class_without_samples_is_never_the_worst(database, running):
    run_id, attempt = running(database)
    record_errors(database, run_id, "test", 1, [0.1, 0.2])
    with database.write() as session:
        rows = [
            ClassMetricRow("test", "robust_error", 1, 2, 1.0, 0),
            ClassMetricRow("test", "robust_error", 1, 3, None, 5),
        ]
        write_class_metrics(session, run_id, attempt, rows=rows)
    assert headline(database)[-1] == 1
    with database.read() as session:
        found = final_metrics(session, run_id)["robust_error"]
    assert found["worst_class"] == "1"
    assert [entry["n"] for entry in found["per_class"]] == [20, 20, 0, 5]
    assert found["per_class"][3]["value"] is None


def test_a_list_takes_as_many_statements_for_fifty_runs_as_for_one(database, running):
    statements = []

    def num_statements() -> int:
        statements.clear()
        with database.read() as session:
            list_runs(session)
        return len(statements)

    def one_more_run() -> None:
        run_id, _ = running(database)
        record_errors(database, run_id, "test", 1, [0.1, 0.2])

    with database.read() as session:
        engine = session.get_bind()
        event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    one_more_run()
    for_one = num_statements()
    for _ in range(49):
        one_more_run()
    assert 3 <= for_one == num_statements()


def test_runs_are_listed_newest_first_without_those_being_deleted(database, queued):
    run_ids = [queued(database, name=f"run {number}") for number in range(4)]
    with database.write() as session:
        for place, run_id in enumerate(run_ids):
            created = datetime(2026, 1, 1 + place, tzinfo=UTC)
            session.execute(update(Run).where(Run.id == run_id).values(created_at=created))
        session.execute(update(Run).where(Run.id == run_ids[3]).values(status="failed"))
        assert start_deletion(session, run_ids[3], "tester")
    with database.read() as session:
        assert [run.id for run in list_runs(session)] == run_ids[2::-1]
        assert [run.id for run in list_runs(session, limit=1)] == [run_ids[2]]
        assert run_count(session) == 3
        assert queue_length(session) == 3
        assert runs_with_status(session, RunStatus.DELETING) == [run_ids[3]]


def test_progress_counts_recorded_epochs_and_the_steps_of_the_one_in_work(database, running):
    run_id, attempt = running(database, num_epochs=4)

    def progress_after(epoch: int, step: int) -> float:
        with database.write() as session:
            progress(
                session, run_id, attempt, epoch=epoch, step=step, num_steps=10, phase="training"
            )
            return get_run(session, run_id).progress

    assert progress_after(1, 5) == 0.125
    assert progress_after(1, 10) == 0.25
    with database.write() as session:
        epoch_done(session, run_id, attempt, epoch=1)
    assert progress_after(1, 10) == 0.25  # recorded: not counted twice
    assert progress_after(2, 5) == 0.375
    with database.write() as session:
        epoch_done(session, run_id, attempt, epoch=4)
        assert get_run(session, run_id).phase == "training"
        finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)
        run = get_run(session, run_id)
    assert (run.progress, run.phase, run.worker_id) == (1.0, None, "worker-1")
    assert not run.is_active


def test_a_run_that_succeeded_before_its_last_epoch_is_wholly_done(database, running):
    run_id, attempt = running(database, num_epochs=9)
    with database.write() as session:
        epoch_done(session, run_id, attempt, epoch=4)
        finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)
        run = get_run(session, run_id)
    assert (run.epoch, run.num_epochs, run.progress) == (4, 9, 1.0)


def test_final_metrics_are_those_that_the_command_line_prints(database, running):
    run_id, _ = running(database)
    with database.write() as session:
        assert final_metrics(session, run_id) is None
        write_facts(session, run_id, {"class_names": ["cat", "dog"]})
    record_errors(database, run_id, "validation", 1, [0.9, 0.9])
    record_errors(database, run_id, "test", 1, [0.25, 0.5])
    with database.read() as session:
        found = final_metrics(session, run_id)
        assert final_metrics(session, "no such run") is None
    assert list(found) == list(ERRORS)
    assert found["natural_error"] == {
        "average": 0.375,
        "worst": 0.5,
        "worst_class": "dog",
        "per_class": [
            {"class": "cat", "value": 0.25, "n": 20},
            {"class": "dog", "value": 0.5, "n": 20},
        ],
    }


def test_metrics_can_be_read_from_where_one_stopped(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        rows = [MetricRow("train", "loss", step, step // 10, float(step)) for step in range(30)]
        write_metrics(session, run_id, attempt, rows=rows)
    with database.read() as session:
        assert metrics(session, run_id).step.tolist() == list(range(30))
        assert metrics(session, run_id, after_step=27).value.tolist() == [28.0, 29.0]
        assert metrics(session, run_id, split="test").empty


def test_class_values_can_be_read_by_split_and_epoch(database, running):
    run_id, _ = running(database)
    for epoch in (1, 2):
        record_errors(database, run_id, "validation", epoch, [0.1, 0.2])
    with database.read() as session:
        assert len(class_metrics(session, run_id)) == 12
        assert set(class_metrics(session, run_id, epoch=2).epoch) == {2}
        assert class_metrics(session, run_id, split="test").empty


def test_summaries_can_be_read_by_epoch_quantity_and_group(database, running):
    run_id, attempt = running(database)
    rows = [
        ClassSummaryRow(epoch, quantity, group, class_index, 5, 0.5, [0.5] * 41)
        for epoch in (1, 2)
        for quantity in ("bound", "loss")
        for group in ("all", "clean", "flipped")
        for class_index in range(3)
    ]
    with database.write() as session:
        write_class_summaries(session, run_id, attempt, rows=rows)
    with database.read() as session:
        assert len(class_summaries(session, run_id)) == len(rows)
        found = class_summaries(session, run_id, 2, quantity="bound", label_group="clean")
    assert found.class_index.tolist() == [0, 1, 2]


FRAMES: dict[str, Callable] = {
    "metrics": metrics,
    "class_metrics": class_metrics,
    "class_summaries": class_summaries,
}


@pytest.mark.parametrize("name", FRAMES)
def test_an_empty_series_has_the_columns_and_types_of_a_full_one(database, running, name):
    run_id, attempt = running(database)
    read = FRAMES[name]
    with database.read() as session:
        empty = read(session, run_id)
    record_errors(database, run_id, "test", 1, [0.1])
    with database.write() as session:
        summary = ClassSummaryRow(1, "bound", "all", 0, 5, 0.5, [0.5] * 41)
        write_class_summaries(session, run_id, attempt, rows=[summary])
        full = read(session, run_id)
    assert len(empty) == 0 < len(full)
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_snapshots_are_read_by_kind_whole_or_by_column(database, running):
    run_id, attempt = running(database)
    images = np.arange(24, dtype="u1").reshape(2, 1, 3, 4)
    with database.write() as session:
        for epoch in (2, 1):
            columns = {"bound": np.full(3, epoch, "f4"), "loss": np.zeros(3)}
            write_snapshot(
                session, run_id, attempt, epoch=epoch, kind="assignment", columns=columns
            )
        write_snapshot(session, run_id, attempt, epoch=2, kind="gallery", columns={"image": images})
    with database.read() as session:
        assert recorded_epochs(session, run_id) == [1, 2]
        assert gallery_epochs(session, run_id) == [2]
        assert list(snapshot(session, run_id, 1, kind="assignment", names=["loss"])) == ["loss"]
        assert (snapshot(session, run_id, 2, kind="gallery")["image"] == images).all()
        assert snapshot(session, run_id, 3, kind="assignment") is None
        found = [
            (epoch, columns["bound"][0])
            for epoch, columns in snapshots(session, run_id, "assignment")
        ]
    assert found == [(1, 1.0), (2, 2.0)]


def test_a_run_is_found_by_the_beginning_of_its_id(database, queued):
    run_id = queued(database)
    other = queued(database)
    with database.read() as session:
        assert find_runs(session, run_id) == [run_id]
        assert find_runs(session, run_id[:12].upper()) == [run_id]
        assert sorted(find_runs(session, "")) == sorted([run_id, other])
        assert find_runs(session, "%") == []
        assert find_runs(session, "'; DROP TABLE run; --") == []


def test_nothing_is_found_of_a_run_that_is_not_there(database):
    with database.read() as session:
        assert get_run(session, "no such run") is None
        assert list_runs(session) == []
        assert events(session, "x") == checkpoints(session, "x") == workers(session) == []
