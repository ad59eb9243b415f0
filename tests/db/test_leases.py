import threading
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text, update

from db.models import Attempt, Metric, Run, RunStatus
from db.reads.leases import holders, lock_if_silent
from db.reads.queries import get_run
from db.session import Database
from db.types import db_now
from db.writes.interruption import interrupted, resumable
from db.writes.records import MetricRow, write_metrics
from db.writes.transitions import (
    DRAIN,
    WorkerIdentity,
    claim,
    epoch_done,
    fence,
    finish,
    heartbeat,
    interrupt,
    progress,
    request_stop,
    requeue,
    take_unsent,
)

WORKER = WorkerIdentity("worker-2", "host-2", "boot-2", 99, "cuda:0")


def status_of(database: Database, run_id: str) -> RunStatus:
    with database.read() as session:
        return session.execute(select(Run.status).where(Run.id == run_id)).scalar_one()


def test_a_replaced_attempt_can_do_nothing_any_more(database, running):
    run_id, old = running(database)
    with database.write() as session:
        assert interrupt(
            session, run_id, old, reason="lost", message="no heartbeat", actor="reconciler"
        )
        assert requeue(session, run_id, "reconciler", reason="lost")
        new = claim(session, run_id, WORKER, lease_seconds=60)
    assert new == old + 1
    with database.write() as session:
        assert heartbeat(session, run_id, old, lease_seconds=60) is None
        assert not fence(session, run_id, old)
        assert not interrupt(session, run_id, old, reason="lost", message=None)
        assert not any(
            finish(session, run_id, old, status=status)
            for status in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
        )
        progress(session, run_id, old, epoch=9, step=9, num_steps=9, phase="testing")
        epoch_done(session, run_id, old, epoch=9)
    with database.read() as session:
        run = get_run(session, run_id)
    assert (run.status, run.epoch, run.worker_id) == (RunStatus.RUNNING, 0, "worker-2")
    assert [(held.number, held.epoch, held.outcome) for held in run.attempts] == [
        (1, 0, "lost"),
        (2, 0, None),
    ]


def test_rows_of_a_replaced_attempt_do_not_overwrite_newer_ones(database, running):
    run_id, _ = running(database)
    for attempt, value in ((2, 0.25), (1, 0.75)):
        with database.write() as session:
            write_metrics(session, run_id, attempt, rows=[MetricRow("train", "loss", 10, 1, value)])
    with database.read() as session:
        assert session.execute(select(Metric.value, Metric.attempt)).one() == (0.25, 2)


def test_a_fence_holds_until_the_transaction_ends(postgresql_database, running):
    run_id, attempt = running(postgresql_database)
    taken = []

    def take():
        with postgresql_database.write() as session:
            taken.append(interrupt(session, run_id, attempt, reason="lost", message=None))

    with postgresql_database.write() as session:
        assert fence(session, run_id, attempt)
        thief = threading.Thread(target=take)
        thief.start()
        thief.join(timeout=0.3)
        assert taken == []
        epoch_done(session, run_id, attempt, epoch=1)  # no deadlock with who waits
    thief.join(timeout=10)
    assert taken == [True]


def test_a_heartbeat_does_not_wait_for_a_fenced_transaction(postgresql_database, running):
    run_id, attempt = running(postgresql_database)
    with postgresql_database.write() as recorder:
        assert fence(recorder, run_id, attempt)
        with postgresql_database.write() as session:
            session.execute(text("SET LOCAL lock_timeout = '1s'"))
            assert heartbeat(session, run_id, attempt, lease_seconds=60) is RunStatus.RUNNING


def test_a_lease_ends_by_the_clock_of_the_database_alone(database, running, monkeypatch):
    lost, _ = running(database, lease_seconds=-1)
    kept, _ = running(database, lease_seconds=60)

    class WrongClock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=365 * 100)

    monkeypatch.setattr("datetime.datetime", WrongClock)
    with database.read() as session:
        left = {holder.run_id: holder.lease_left for holder in holders(session)}
    assert -10 < left[lost] < 0 < left[kept] <= 60
    with database.write() as session:
        assert heartbeat(session, lost, 1, lease_seconds=60) is RunStatus.RUNNING
        (renewed,) = holders(session, lost)
    assert 0 < renewed.lease_left <= 60


def test_who_holds_a_run_is_told_with_its_lock_and_how_long_it_may_be_silent(database, queued):
    run_id = queued(database)
    there = WorkerIdentity("w", "host", "boot", 7, "cpu", lock_domain="d.1", data_dir="/data")
    with database.write() as session:
        assert claim(session, run_id, there, lease_seconds=42) == 1
        (holder,) = holders(session)
    assert (holder.run_id, holder.number, holder.worker_id) == (run_id, 1, "w")
    assert (holder.host, holder.boot_id, holder.lock_domain) == ("host", "boot", "d.1")
    assert (holder.data_dir, holder.lease_seconds) == ("/data", 42)
    with database.read() as session:
        assert get_run(session, run_id).holder.lease_until == holder.lease_until


def test_an_attempt_that_ended_holds_nothing(database, running):
    run_id, attempt = running(database, lease_seconds=-1)
    with database.write() as session:
        (holder,) = holders(session)
        assert finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)
        assert holders(session) == []
        assert not lock_if_silent(session, holder)
    with database.read() as session:
        assert get_run(session, run_id).holder is None


def test_an_attempt_that_has_said_something_since_it_was_seen_is_not_silent(database, running):
    run_id, attempt = running(database, lease_seconds=-1)
    with database.write() as session:
        (holder,) = holders(session)
        assert lock_if_silent(session, holder)
        assert heartbeat(session, run_id, attempt, lease_seconds=-1) is RunStatus.RUNNING
    with database.write() as session:
        assert not lock_if_silent(session, holder)


def test_the_silence_of_another_run_is_not_ones_own(database, running):
    run_id, other = (running(database, lease_seconds=-1)[0] for _ in range(2))
    with database.write() as session:
        session.execute(update(Attempt).values(lease_until=db_now(-9)))
        (holder,) = holders(session, run_id)
        session.execute(
            update(Attempt).where(Attempt.run_id == other).values(lease_until=holder.lease_until)
        )
        assert heartbeat(session, run_id, 1, lease_seconds=60) is RunStatus.RUNNING
    with database.write() as session:
        assert not lock_if_silent(session, holder)


def test_what_is_silent_cannot_be_revived_while_it_is_being_taken(postgresql_database, running):
    run_id, attempt = running(postgresql_database, lease_seconds=-1)
    answers = []

    def beat():
        with postgresql_database.write() as session:
            answers.append(heartbeat(session, run_id, attempt, lease_seconds=60))

    with postgresql_database.write() as session:
        (holder,) = holders(session)
        assert lock_if_silent(session, holder)
        late = threading.Thread(target=beat)
        late.start()
        late.join(timeout=0.3)
        with postgresql_database.write() as other:
            assert not lock_if_silent(other, holder)
        assert interrupt(session, run_id, attempt, reason="lost", message=None, actor="reconciler")
    late.join(timeout=10)
    assert answers == [None]


def test_what_was_interrupted_by_a_clock_that_ran_ahead_does_not_wait_for_it(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        assert interrupt(session, run_id, attempt, reason="lost", message=None)
        assert resumable(session, 30) == []  # a moment ago
    for hours, waits in ((-2, False), (2, False), (0, True)):
        with database.write() as session:
            session.execute(update(Attempt).values(ended_at=db_now(3600 * hours)))
            assert (resumable(session, 30) == []) is waits


def test_a_message_sent_by_a_clock_that_ran_ahead_is_sent_again(database, queued):
    run_id = queued(database)
    for hours, is_due in ((-2, True), (2, True), (0, False)):
        with database.write() as session:
            session.execute(update(Run).values(sent_at=db_now(3600 * hours)))
            assert take_unsent(session, 30) == ([run_id] if is_due else [])


def test_what_was_told_to_stop_goes_on_at_once_and_what_was_lost_after_a_while(database, running):
    drained, lost = (running(database)[0] for _ in range(2))
    with database.write() as session:
        interrupt(session, drained, 1, reason=DRAIN, message=None)
        interrupt(session, lost, 1, reason="lost", message=None)
        assert [waiting.run_id for waiting in resumable(session, 30)] == [drained]
        session.execute(update(Attempt).values(ended_at=db_now(-31)))
        assert {waiting.run_id for waiting in resumable(session, 30)} == {drained, lost}
        found = {waiting.run_id: waiting for waiting in resumable(session, 30)}
    assert (found[drained].lost, found[lost].lost) == (0, 1)
    assert (found[drained].reason, found[lost].reason) == (DRAIN, "lost")


def test_interruptions_are_counted_per_run_and_reason(database, queued):
    mine, other = queued(database), queued(database)
    for run_id, reasons in ((mine, ["lost", "oom", "oom"]), (other, ["oom"] * 4)):
        for number, reason in enumerate(reasons, 1):
            with database.write() as session:
                assert claim(session, run_id, WORKER, lease_seconds=60) == number
                interrupt(session, run_id, number, reason=reason, message=None)
                last = interrupted(session, run_id)
                if number < len(reasons):
                    assert requeue(session, run_id, "reconciler", reason="retry")
        assert last.times == {mine: 2, other: 4}[run_id]
    with database.read() as session:
        assert interrupted(session, mine).times == 2
        assert interrupted(session, mine).lost == 3


def test_a_heartbeat_is_told_the_status_of_its_own_run_and_of_no_other(database, running):
    first, second, third = (running(database)[0] for _ in range(3))
    with database.write() as session:
        assert request_stop(session, second, "tester") is RunStatus.STOPPING
    for run_id, status in ((first, "running"), (second, "stopping"), (third, "running")):
        with database.write() as session:
            assert heartbeat(session, run_id, 1, lease_seconds=60) == status


def test_the_messages_of_a_long_queue_are_sent_a_hundred_at_a_time_the_oldest_first(
    database, queued
):
    waiting = [queued(database) for _ in range(101)]
    with database.write() as session:
        for place, run_id in enumerate(reversed(waiting)):
            moment = db_now(-1000 - place)
            session.execute(update(Run).where(Run.id == run_id).values(queued_at=moment))
        assert take_unsent(session, 30) == waiting[:100]
        assert take_unsent(session, 30) == waiting[100:]
