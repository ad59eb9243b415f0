import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest
from sqlalchemy import select, update

from db.models import Attempt, Metric, Run, RunEvent, RunStatus
from db.reads.queries import (
    checkpoints,
    events,
    get_run,
    queue_length,
    run_count,
    workers,
)
from db.session import Database
from db.workers import WorkerReport, upsert_worker, worker_stopped
from db.writes.deletion import finish_deletion, start_deletion
from db.writes.records import MetricRow, write_checkpoint, write_metrics
from db.writes.transitions import (
    DRAIN,
    USER,
    WorkerIdentity,
    claim,
    create_run,
    epoch_done,
    fence,
    finish,
    heartbeat,
    interrupt,
    request_stop,
    requeue,
    take_unsent,
)

WORKER = WorkerIdentity("worker-2", "host-2", "boot-2", 99, "cuda:0")


def status_of(database: Database, run_id: str) -> RunStatus:
    with database.read() as session:
        return session.execute(select(Run.status).where(Run.id == run_id)).scalar_one()


def test_a_second_delivery_finds_nothing_to_claim(database, running):
    run_id, _ = running(database)
    with database.write() as session:
        assert claim(session, run_id, WORKER, lease_seconds=60) is None
        assert claim(session, "no such run", WORKER, lease_seconds=60) is None
    with database.read() as session:
        assert [held.worker_id for held in get_run(session, run_id).attempts] == ["worker-1"]


def test_a_run_that_needs_a_newer_worker_is_not_claimed(database, queued):
    run_id = queued(database)
    with database.write() as session:
        session.execute(update(Run).values(min_worker_rev="9999"))
        assert claim(session, run_id, WORKER, lease_seconds=60) is None


def test_a_run_is_not_claimed_by_a_program_older_than_the_one_that_launched_it(
    database, queued, monkeypatch
):
    run_id = queued(database)
    with monkeypatch.context() as patch:
        patch.setattr("db.writes.state_machine.head_revision", lambda: "0001")
        with database.write() as session:
            assert claim(session, run_id, WORKER, lease_seconds=60) is None
    with database.write() as session:
        assert claim(session, run_id, WORKER, lease_seconds=60) == 1


def _claim(url: str, run_id: str, start, answers) -> None:
    database = Database(url)
    start.wait()
    with database.write() as session:
        answers.put(claim(session, run_id, WORKER, lease_seconds=60))
    database.dispose()


def test_of_eight_processes_that_claim_a_run_one_wins(database, queued):
    run_id = queued(database)
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["db.session", "db.migrate", "db.models"])
    start, answers = server.Barrier(8), server.Queue()
    url = database.url.render_as_string(hide_password=False)
    processes = [
        server.Process(target=_claim, args=(url, run_id, start, answers)) for _ in range(8)
    ]
    for process in processes:
        process.start()
    won = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    assert sorted(won, key=str) == [1] + [None] * 7


def at_once(database: Database, action, times: int = 8) -> list:
    """Do one thing from several threads, each in a transaction of its own."""
    start = threading.Barrier(times)

    def once(number: int):
        start.wait()
        with database.write() as session:
            return action(session, number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(once, range(times)))


def test_twenty_times_eight_threads_claim_a_run_once(database, queued):
    for _ in range(20):
        run_id = queued(database)
        won = at_once(
            database,
            lambda session, _, run_id=run_id: claim(session, run_id, WORKER, lease_seconds=60),
        )
        assert sorted(won, key=str) == [1] + [None] * 7


def test_a_double_click_makes_one_run(database, new_run):
    new = new_run(idempotency_key="form-1")
    answers = at_once(database, lambda session, _: create_run(session, new, "tester"))
    assert len({run_id for run_id, _ in answers}) == 1
    assert [created for _, created in answers].count(True) == 1
    with database.read() as session:
        assert run_count(session) == 1
        assert len(events(session, answers[0][0])) == 1


def test_runs_without_a_key_are_all_different(database, queued):
    assert queued(database) != queued(database)


def test_stop_and_claim_at_once_leave_a_run_that_is_either_cancelled_or_stopping(database, queued):
    for _ in range(10):
        run_id = queued(database)

        def act(session, number, run_id=run_id):
            if number % 2:
                return request_stop(session, run_id, "tester")
            return claim(session, run_id, WORKER, lease_seconds=60)

        at_once(database, act, times=4)
        status = status_of(database, run_id)
        with database.read() as session:
            claimed = len(get_run(session, run_id).attempts)
        assert (status, claimed) in ((RunStatus.CANCELLED, 0), (RunStatus.STOPPING, 1))


def test_a_run_stopped_while_queued_never_runs(database, queued):
    run_id = queued(database)
    with database.write() as session:
        assert request_stop(session, run_id, "tester") is RunStatus.CANCELLED
        assert claim(session, run_id, WORKER, lease_seconds=60) is None
        assert take_unsent(session, 0) == []
    with database.read() as session:
        run = get_run(session, run_id)
    assert run.ended_at is not None
    assert run.started_at is None
    assert run.attempts == []


def test_a_running_run_learns_of_the_request_to_stop_from_its_heartbeat(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        assert heartbeat(session, run_id, attempt, lease_seconds=60) is RunStatus.RUNNING
        assert request_stop(session, run_id, "tester") is RunStatus.STOPPING
        assert request_stop(session, run_id, "tester") is None
        assert heartbeat(session, run_id, attempt, lease_seconds=60) is RunStatus.STOPPING
        assert fence(session, run_id, attempt)
        assert finish(session, run_id, attempt, status=RunStatus.CANCELLED, reason=USER)
        assert request_stop(session, run_id, "tester") is None
        assert heartbeat(session, run_id, attempt, lease_seconds=60) is None
        assert not fence(session, run_id, attempt)


def test_lost_attempts_are_counted_until_an_epoch_is_recorded(database, queued):
    run_id = queued(database)

    def lose(reason: str, epoch: int | None = None) -> int:
        with database.write() as session:
            attempt = claim(session, run_id, WORKER, lease_seconds=60)
            if epoch is not None:
                epoch_done(session, run_id, attempt, epoch=epoch)
            assert interrupt(session, run_id, attempt, reason=reason, message=None)
            lost = get_run(session, run_id).infra_attempts
            assert requeue(session, run_id, "reconciler", reason=reason)
        return lost

    assert [lose("lost"), lose("lost"), lose(DRAIN), lose("lost")] == [1, 2, 2, 3]
    assert lose("lost", epoch=1) == 1
    with database.read() as session:
        assert get_run(session, run_id).epoch == 1


def test_a_person_s_resume_forgets_the_lost_attempts_and_an_automatic_one_does_not(
    database, running
):
    run_id, attempt = running(database)
    with database.write() as session:
        interrupt(session, run_id, attempt, reason="lost", message=None)
        assert requeue(session, run_id, "reconciler", reason="lost")
        assert get_run(session, run_id).infra_attempts == 1
        interrupt(
            session,
            run_id,
            claim(session, run_id, WORKER, lease_seconds=60),
            reason="lost",
            message=None,
        )
        assert requeue(session, run_id, "tester", reason=USER)
        assert get_run(session, run_id).infra_attempts == 0


def test_an_automatic_retry_does_not_undo_a_stop(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        interrupt(session, run_id, attempt, reason="lost", message=None)
        assert request_stop(session, run_id, "tester") is RunStatus.CANCELLED
        assert not requeue(session, run_id, "reconciler", reason="lost")
        assert requeue(session, run_id, "tester", reason=USER)
        run = get_run(session, run_id)
    assert (run.status, run.ended_at) == (RunStatus.QUEUED, None)


def test_a_message_is_sent_by_one_caller_and_again_when_it_is_due(database, queued):
    run_ids = [queued(database) for _ in range(3)]
    answers = at_once(database, lambda session, _: take_unsent(session, 30))
    assert sorted(chain(*answers)) == sorted(run_ids)
    assert sorted(map(len, answers)) == [0] * 7 + [3]
    with database.write() as session:
        assert take_unsent(session, 30) == []
        assert take_unsent(session, -1) == run_ids


def test_the_message_of_a_requeued_run_is_sent_at_once(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        take_unsent(session, 30)
        interrupt(session, run_id, attempt, reason=DRAIN, message=None)
        requeue(session, run_id, "worker-1", reason=DRAIN)
        assert take_unsent(session, 30) == [run_id]


def test_a_deleted_run_takes_its_rows_along(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        write_metrics(session, run_id, attempt, rows=[MetricRow("train", "loss", 1, 1, 0.5)])
        write_checkpoint(
            session,
            run_id,
            attempt,
            epoch=1,
            path="runs/x/e1.safetensors",
            size=10,
            sha256="0" * 64,
        )
        assert not start_deletion(session, run_id, "tester")
        assert not finish_deletion(session, run_id)
        assert finish(
            session,
            run_id,
            attempt,
            status=RunStatus.FAILED,
            reason="diverged",
            message="loss is NaN",
        )
        assert start_deletion(session, run_id, "tester")
        assert [row.epoch for row in checkpoints(session, run_id)] == [1]
        assert finish_deletion(session, run_id)
        assert not finish_deletion(session, run_id)
    with database.read() as session:
        for table in (Run, Attempt, RunEvent, Metric):
            assert session.execute(select(table)).all() == []


def test_an_end_must_be_an_end(sqlite_database, running):
    run_id, attempt = running(sqlite_database)
    with sqlite_database.write() as session, pytest.raises(ValueError, match="no end"):
        finish(session, run_id, attempt, status=RunStatus.QUEUED)


def test_a_message_is_stored_without_what_a_database_refuses(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        finish(
            session,
            run_id,
            attempt,
            status=RunStatus.FAILED,
            reason="error",
            message="bad \x00byte \udcff",
        )
    with database.read() as session:
        assert get_run(session, run_id).message == "bad byte ?"


def test_a_worker_is_one_row_however_often_it_reports(database):
    report = WorkerReport("worker-1", "host-1", 1, "cpu", "a processor", "0.1.0")
    for state in ("idle", "busy"):
        with database.write() as session:
            upsert_worker(session, WorkerReport(**{**vars(report), "state": state}))
    with database.read() as session:
        (worker,) = workers(session)
        assert worker.state == "busy"
        assert 0 <= worker.seconds_since_seen < 5
        assert queue_length(session) == 0
    with database.write() as session:
        worker_stopped(session, "worker-1")
        assert [worker.state for worker in workers(session)] == ["stopped"]
