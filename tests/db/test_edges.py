from dataclasses import replace
from itertools import product

import pytest
from sqlalchemy import select, text, update

from db.models import (
    ACTIVE,
    ENDED,
    HELD,
    RESUMABLE,
    STOPPABLE,
    USER,
    Attempt,
    Run,
    RunStatus,
)
from db.reads.queries import events, get_run
from db.reads.rows import RunRow
from db.session import Database
from db.writes.deletion import start_deletion
from db.writes.state_machine import Note, change, remark
from db.writes.transitions import (
    LEGAL_EDGES,
    WorkerIdentity,
    claim,
    finish,
    give_up,
    interrupt,
    request_stop,
    requeue,
)

PAIRS = list(product(RunStatus, RunStatus))
LEGAL = [(source, target) for source, target in PAIRS if target in LEGAL_EDGES[source]]
WORKER = WorkerIdentity("worker-2", "host-2", "boot-2", 99, "cuda:0")

# Every public way out of a status, as what a caller may do with run 1, attempt 1.
ACTIONS = {
    "claim": lambda session, run_id: claim(session, run_id, WORKER, lease_seconds=60) is not None,
    "stop": lambda session, run_id: request_stop(session, run_id, "tester") is not None,
    "succeed": lambda session, run_id: finish(session, run_id, 1, status=RunStatus.SUCCEEDED),
    "fail": lambda session, run_id: finish(
        session, run_id, 1, status=RunStatus.FAILED, reason="diverged"
    ),
    "cancel": lambda session, run_id: finish(session, run_id, 1, status=RunStatus.CANCELLED),
    "interrupt": lambda session, run_id: interrupt(
        session, run_id, 1, reason="lost", message="gone"
    ),
    "resume": lambda session, run_id: requeue(session, run_id, "tester", reason=USER),
    "retry": lambda session, run_id: requeue(session, run_id, "reconciler", reason="lost"),
    "give up": lambda session, run_id: give_up(
        session, run_id, "reconciler", reason="lost", message="3 times"
    ),
    "delete": lambda session, run_id: start_deletion(session, run_id, "tester"),
}


def status_of(database: Database, run_id: str) -> RunStatus:
    with database.read() as session:
        return session.execute(select(Run.status).where(Run.id == run_id)).scalar_one()


def force_status(database: Database, run_id: str, status: RunStatus) -> None:
    with database.write() as session:
        session.execute(update(Run).where(Run.id == run_id).values(status=status))


def test_the_table_of_edges_names_every_status():
    assert set(LEGAL_EDGES) == set(RunStatus)


def sources(*targets: RunStatus) -> set[RunStatus]:
    return {source for source, target in LEGAL if target in targets}


def test_what_may_be_done_with_a_run_follows_from_the_table_of_edges():
    assert set(STOPPABLE) == sources(RunStatus.STOPPING, RunStatus.CANCELLED) - {RunStatus.STOPPING}
    assert set(RESUMABLE) == sources(RunStatus.QUEUED)
    assert set(ENDED) == sources(RunStatus.DELETING)
    assert set(HELD) == sources(RunStatus.SUCCEEDED)
    assert set(ACTIVE) == set(RunStatus) - set(ENDED) - {RunStatus.DELETING}


MAY = {
    "queued": {"stop"},
    "running": {"stop"},
    "stopping": set(),
    "succeeded": {"delete"},
    "failed": {"resume", "delete"},
    "cancelled": {"resume", "delete"},
    "interrupted": {"stop", "resume"},
}


def ways(row: RunRow) -> set[str]:
    may = {"stop": row.is_stoppable, "resume": row.is_resumable, "delete": row.is_deletable}
    return {name for name, is_open in may.items() if is_open}


def test_a_row_says_what_a_person_may_do_with_the_run(database, running):
    run_id, _ = running(database)
    for status, may in MAY.items():
        force_status(database, run_id, RunStatus(status))
        with database.read() as session:
            row = get_run(session, run_id)
        assert ways(row) == may, status
        assert ways(replace(row, is_lost=True)) == may | {"resume"}, status


def test_a_legal_edge_is_walked_once_and_told_once(database, running):
    run_id, attempt = running(database)
    for source, target in LEGAL:
        force_status(database, run_id, source)
        with database.write() as session:
            first = change(session, run_id, (source, target), note=Note("tester", "why", "because"))
            second = change(session, run_id, (source, target), note=Note("tester"))
        assert (first, second) == (attempt, None)
        with database.read() as session:
            *_, event = events(session, run_id)
        told = (event.from_status, event.to_status, event.reason, event.message, event.actor)
        assert told == (source, target, "why", "because", "tester")
    with database.read() as session:
        assert len(events(session, run_id)) == 2 + len(LEGAL)


def test_an_illegal_edge_is_refused_whatever_the_run(sqlite_database, running):
    run_id, _ = running(sqlite_database)
    for edge in set(PAIRS) - set(LEGAL):
        with sqlite_database.write() as session, pytest.raises(ValueError, match="not legal"):
            change(session, run_id, edge, note=Note("tester"))
    assert status_of(sqlite_database, run_id) is RunStatus.RUNNING


def test_no_action_leads_along_an_illegal_edge(database, running):
    run_id, _ = running(database)
    walked = set()
    for source, action in product(RunStatus, ACTIONS):
        with database.write() as session:
            session.execute(update(Run).where(Run.id == run_id).values(status=source, attempt=1))
            session.execute(update(Attempt).where(Attempt.number == 1).values(ended_at=None))
            session.execute(text("DELETE FROM attempt WHERE number > 1"))
            happened = ACTIONS[action](session, run_id)
        target = status_of(database, run_id)
        assert happened == (target is not source), f"{action} of a run that is {source}"
        if happened:
            walked.add((source, target))
    assert walked == set(LEGAL)


def test_only_a_status_of_the_table_can_be_stored(database, running):
    run_id, _ = running(database)
    with database.write() as session, pytest.raises(Exception, match="ck_run_status"):
        session.execute(text("UPDATE run SET status = 'paused' WHERE id = :id"), {"id": run_id})


def test_a_remark_is_an_event_that_changes_no_status_and_only_its_holder_makes_one(
    database, running
):
    run_id, attempt = running(database)
    with database.write() as session:
        assert remark(
            session, run_id, attempt, reason="damaged", message="Epoch 2 checkpoint damaged"
        )
        assert not remark(session, run_id, attempt + 1, reason="damaged", message="by a stranger")
    assert status_of(database, run_id) is RunStatus.RUNNING
    with database.read() as session:
        *_, event = events(session, run_id)
    assert (event.from_status, event.to_status, event.reason) == ("running", "running", "damaged")
    assert event.actor == "worker-1"
    with database.write() as session:
        assert finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)
        assert not remark(session, run_id, attempt, reason="damaged", message="too late")


def test_a_remark_is_its_own_runs_workers_however_many_runs_are_at_work(database, running, queued):
    running(database)
    mine = queued(database)
    other = WorkerIdentity("worker-2", "host-2", "boot-2", 7, "cpu")
    with database.write() as session:
        attempt = claim(session, mine, other, lease_seconds=60)
    running(database)
    with database.write() as session:
        assert remark(session, mine, attempt, reason="damaged", message="said")
    with database.read() as session:
        *_, event = events(session, mine)
    assert (event.message, event.actor) == ("said", "worker-2")
