"""When a run was queued, started and ended, and in which order waiting runs are claimed."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from db.models import Run, RunStatus
from db.reads.queries import get_run
from db.types import db_now
from db.writes.transitions import (
    DRAIN,
    WorkerIdentity,
    claim,
    finish,
    give_up,
    interrupt,
    request_stop,
    requeue,
)

WORKER = WorkerIdentity("worker-2", "host-2", "boot-2", 99, "cuda:0")


def test_a_run_started_when_it_was_first_claimed(database, queued):
    run_id, long_ago = queued(database), datetime(2020, 1, 1, tzinfo=UTC)
    with database.write() as session:
        assert get_run(session, run_id).started_at is None
        first = claim(session, run_id, WORKER, lease_seconds=60)
        assert get_run(session, run_id).started_at is not None
        session.execute(update(Run).values(started_at=long_ago))
        interrupt(session, run_id, first, reason=DRAIN, message=None)
        requeue(session, run_id, "tester", reason=DRAIN)
        assert claim(session, run_id, WORKER, lease_seconds=60) == 2
        run = get_run(session, run_id)
    assert run.started_at == long_ago
    assert run.attempt_started_at > long_ago


def test_a_run_has_an_end_from_its_last_status_on_and_no_sooner(database, running):
    ends = {}
    for name in ("stopping", "stopped", "failed", "drained", "given up"):
        run_id, attempt = running(database)
        with database.write() as session:
            if name in ("stopping", "stopped"):
                request_stop(session, run_id, "tester")
            if name in ("stopped", "failed"):
                status = RunStatus.CANCELLED if name == "stopped" else RunStatus.FAILED
                finish(session, run_id, attempt, status=status)
            if name in ("drained", "given up"):
                interrupt(session, run_id, attempt, reason=DRAIN, message=None)
            if name == "given up":
                assert give_up(
                    session, run_id, "reconciler", reason="lost_too_often", message="three times"
                )
        with database.read() as session:
            (held,) = get_run(session, run_id).attempts
            has_ended = get_run(session, run_id).ended_at is not None
        ends[name] = (has_ended, held.ended_at is not None, held.outcome)
    assert ends == {
        "stopping": (False, False, None),
        "stopped": (True, True, "cancelled"),
        "failed": (True, True, "failed"),
        "drained": (False, True, "drain"),
        "given up": (True, True, "drain"),
    }


def test_a_question_about_moments_is_compiled_once_whatever_the_moments(database):
    compiled: dict[object, object] = {}
    with database.read() as session:
        connection = session.connection().execution_options(compiled_cache=compiled)
        for seconds in range(3):
            at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
            asked = select(Run.id).where(Run.queued_at > at, Run.created_at < db_now(-seconds))
            assert connection.execute(asked).all() == []
    assert len(compiled) == 1
