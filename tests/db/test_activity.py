"""What goes on now: queues, runs in work, what waits, workers; in few statements."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, insert, update

from db.models import Attempt, Run, RunStatus, Worker
from db.reads.activity import LATELY, activity
from db.reads.waiting import wait_of
from db.workers import WorkerReport, upsert_worker, worker_stopped
from db.writes.records import MetricRow, write_metrics
from db.writes.transitions import epoch_done, finish


def now(database, **options):
    with database.read() as session:
        return activity(session, **options)


def change(database, run_id, **values):
    with database.write() as session:
        session.execute(update(Run).where(Run.id == run_id).values(**values))


def ago(seconds):
    return datetime.now(UTC) - timedelta(seconds=seconds)


def report(database, name, **fields):
    known = {"host": "host-1", "pid": 1, "device": "cpu", "device_name": "", "version": "1"}
    with database.write() as session:
        upsert_worker(session, WorkerReport(**({"id": name} | known | fields)))


def test_a_queue_has_its_length_and_the_age_of_its_oldest(database, queued):
    ages = {"default": [30, 90], "gpu": [600]}
    for queue, seconds in ages.items():
        for age in seconds:
            change(database, queued(database), queue=queue, queued_at=ago(age))
    found = {queue.name: queue for queue in now(database).queues}
    assert {name: queue.waiting for name, queue in found.items()} == {"default": 2, "gpu": 1}
    assert found["default"].oldest_seconds == pytest.approx(90, abs=5)
    assert found["gpu"].oldest_seconds == pytest.approx(600, abs=5)
    assert now(database).num_waiting == 3


def test_a_queue_without_runs_is_named_where_a_worker_serves_it(database):
    report(database, "worker-1", queues=",cpu,default,")
    told = [(queue.name, queue.waiting, queue.oldest_seconds) for queue in now(database).queues]
    assert told == [("default", 0, None), ("cpu", 0, None)]


def test_runs_are_counted_by_where_they_stand_and_by_kind(database, queued, running):
    queued(database)
    subject, _ = running(database)
    change(database, queued(database), kind="evaluation", subject_id=subject)
    change(database, queued(database), kind="export", subject_id=subject, status=RunStatus.FAILED)
    change(database, queued(database), status=RunStatus.DELETING)
    assert dict(now(database).counts) == {
        ("queued", "training"): 1,
        ("queued", "evaluation"): 1,
        ("running", "training"): 1,
        ("failed", "export"): 1,
    }


def test_lost_attempts_are_counted(database, running):
    run_id, _ = running(database)
    assert now(database).num_lost == 0
    with database.write() as session:
        session.execute(update(Attempt).where(Attempt.run_id == run_id).values(outcome="lost"))
    assert now(database).num_lost == 1


def test_a_run_in_work_has_its_device_and_from_its_first_epoch_on_the_seconds_of_one(
    database, running
):
    run_id, attempt = running(database)
    (work,) = now(database).at_work
    assert (work.run.id, work.device, work.run.kind) == (run_id, "cpu", "training")
    assert work.epoch_seconds is None
    with database.write() as session:
        for epoch in (1, 2):
            rows = [MetricRow("validation", "robust_error", epoch, epoch, 0.5)]
            write_metrics(session, run_id, attempt, rows=rows)
            epoch_done(session, run_id, attempt, epoch=epoch)
        session.execute(update(Attempt).values(started_at=ago(60)))
    (work,) = now(database).at_work
    assert work.epoch_seconds == pytest.approx(30, abs=3)
    with database.write() as session:
        finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)
    assert now(database).at_work == []


def test_what_waits_stands_in_the_order_in_which_it_is_taken(database, queued):
    run_ids = [queued(database) for _ in range(4)]
    for age, run_id in zip((10, 40, 20, 30), run_ids, strict=True):
        change(database, run_id, queued_at=ago(age))
    change(database, run_ids[0], priority=9)
    change(database, run_ids[3], status=RunStatus.INTERRUPTED)
    found = now(database).waiting
    assert [run.id for run in found] == [run_ids[place] for place in (0, 1, 3, 2)]
    assert found[1].seconds == pytest.approx(40, abs=5)
    assert found[2].seconds is None
    assert [run.id for run in now(database, most_waiting=1).waiting] == run_ids[:1]


@pytest.mark.parametrize("needed", [None, 5, 8, 9])
def test_what_a_run_waits_for_is_what_is_said_of_it_alone(database, queued, needed):
    assert_waits_alike(database, [queued(database)])
    kinds = [
        {"queues": ",default,", "memory_total": 8},
        {"queues": ",default,", "memory_total": None, "state": "busy"},
        {"queues": ",default,cpu,", "memory_total": 4},
        {"queues": ",cpu,", "memory_total": 99},
        {"queues": ""},
    ]
    for number, fields in enumerate(kinds):
        report(database, f"worker-{number}", **fields)
    report(database, "ended", queues=",default,")
    report(database, "silent", queues=",default,")
    report(database, "too-old", queues=",default,")
    with database.write() as session:
        worker_stopped(session, "ended")
        for name, values in {"silent": {"last_seen": ago(31)}, "too-old": {"revision": ""}}.items():
            session.execute(update(Worker).where(Worker.id == name).values(**values))
    run_ids = [queued(database) for _ in range(6)]
    for age, run_id in enumerate(run_ids):
        place = {"queue": ("default", "gpu", "cpu")[age % 3], "priority": age % 2}
        change(database, run_id, memory_needed=needed, queued_at=ago(90 - age), **place)
    assert_waits_alike(database, run_ids)


def assert_waits_alike(database, run_ids):
    told = {run.id: run.wait for run in now(database).waiting}
    with database.read() as session:
        alone = {run_id: wait_of(session, run_id) for run_id in run_ids}
    assert {run_id: told[run_id] for run_id in run_ids} == alone


def test_workers_that_ended_or_were_not_seen_for_a_day_are_left_out(database):
    for name in ("here", "ended", "old"):
        report(database, name, memory_total=8, memory_used=3, utilisation=0.5)
    with database.write() as session:
        worker_stopped(session, "ended")
        before = ago(LATELY + 60)
        session.execute(update(Worker).where(Worker.id == "old").values(last_seen=before))
    (worker,) = now(database).workers
    use = (worker.memory_total, worker.memory_used, worker.utilisation)
    assert (worker.id, *use) == ("here", 8, 3, 0.5)


def test_it_takes_eight_statements_among_five_thousand_runs(database, queued, running):
    queued(database)
    running(database)
    report(database, "worker-1")
    known = {"scenario": {"a": "b" * 1000}, "scenario_digest": "0" * 64, "method": "caat"}
    known |= {"name": "run", "dataset": "digits", "seed": 0, "num_epochs": 5}
    with database.write() as session:
        rows = [known | {"status": status} for status in RunStatus for _ in range(625)]
        session.execute(insert(Run), rows)
    statements = []
    with database.read() as session:
        engine = session.get_bind()
        event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
        found = activity(session)
    begins = [text for text in statements if text.startswith("BEGIN")]
    assert len(statements) - len(begins) == 8
    assert found.num_waiting == 626
    assert len(found.waiting) == 20
    assert sum(found.counts.values()) == 2 + 7 * 625
