"""Which run is next for which worker, and why a run waits."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from db.models import Run, RunStatus, Worker
from db.reads.placement import (
    Ticket,
    claimable,
    joined,
    next_ticket,
    parted,
    queues,
    tickets,
)
from db.reads.queries import events, get_run
from db.reads.rows import LIVE_SECONDS
from db.reads.waiting import wait_of
from db.types import db_now
from db.writes.placement import place
from db.writes.transitions import DRAIN, claim, finish, interrupt, requeue, take_unsent

GIB = 2**30


def next_for(database, worker_id: str, offered: str | None = None) -> list[str]:
    with database.read() as session:
        return [t.run_id for t in claimable(session, worker_id, offered=offered)]


def order_for(database, worker_id: str) -> list[str]:
    """Return in which order a worker takes what waits, if nothing else happens."""
    order = []
    while found := next_for(database, worker_id):
        order.append(found[0])
        set_run(database, found[0], status=RunStatus.CANCELLED)
    for run_id in order:
        set_run(database, run_id, status=RunStatus.QUEUED)
    return order


def waits(database, run_id: str):
    with database.read() as session:
        return wait_of(session, run_id)


def set_run(database, run_id: str, **values: object) -> None:
    with database.write() as session:
        session.execute(update(Run).where(Run.id == run_id).values(**values))


def test_a_worker_takes_only_what_waits_in_a_queue_that_it_serves(database, queued, offers):
    usual = queued(database)
    on_gpu, on_a100 = queued(database, queue="gpu"), queued(database, queue="a100")
    assert order_for(database, offers(database, "w-1")) == [usual]
    assert order_for(database, offers(database, "w-2", queues=",gpu,a100,")) == [on_gpu, on_a100]
    assert order_for(database, offers(database, "w-3", queues=",a10,a1000,00,")) == []
    assert order_for(database, "a worker without a row") == []


def test_the_highest_priority_goes_first_and_the_oldest_of_equals(database, queued, offers):
    me = offers(database)
    usual, later = queued(database), queued(database)
    low, high = queued(database, priority=0), queued(database, priority=9)
    assert order_for(database, me) == [high, usual, later, low]
    set_run(database, later, queued_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert order_for(database, me) == [high, later, usual, low]


def test_of_equal_priority_whoever_has_the_fewest_runs_at_work_is_next(
    database, queued, running, offers
):
    me = offers(database)
    running(database, owner="other")
    running(database, owner="busy")
    running(database, owner="busy")
    of_busy = [queued(database, owner="busy") for _ in range(3)]
    of_other, of_idle = queued(database, owner="other"), queued(database, owner="idle")
    urgent = queued(database, owner="busy", priority=6)
    assert next_for(database, me) == [urgent, of_idle, of_other]  # the next one of each
    assert order_for(database, me) == [urgent, of_idle, of_other, *of_busy]


def test_a_run_that_is_over_counts_no_more_for_its_owner(database, queued, running, offers):
    me = offers(database)
    done, attempt = running(database, owner="anna")
    running(database, owner="ben")
    of_anna, of_ben = queued(database, owner="anna"), queued(database, owner="ben")
    with database.write() as session:
        finish(session, done, attempt, status=RunStatus.SUCCEEDED)
    assert next_for(database, me) == [of_anna, of_ben]


def test_owners_take_turns_where_one_worker_does_everything(database, queued, worker, offers):
    me, order = offers(database), []
    for owner in ("anna", "anna", "anna", "anna", "ben", "carl", "ben"):
        queued(database, owner=owner)
    for hour in range(7):
        (run_id, *_) = next_for(database, me)
        with database.write() as session:
            attempt = claim(session, run_id, worker, lease_seconds=60)
            finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)
            order.append(get_run(session, run_id).owner)
        set_run(database, run_id, started_at=datetime(2026, 1, 1, hour, tzinfo=UTC))
    assert order == ["anna", "ben", "carl", "anna", "ben", "anna", "anna"]


def test_a_message_goes_before_its_equals_and_behind_what_is_better(database, queued, offers):
    me = offers(database)
    first, second = queued(database), queued(database)
    assert next_for(database, me, offered=second) == [second, first]
    urgent = queued(database, priority=8)
    assert next_for(database, me, offered=second) == [urgent, second]
    assert next_for(database, me, offered="a run that is gone") == [urgent]
    elsewhere = queued(database, priority=9, queue="gpu")
    assert next_for(database, me, offered=elsewhere) == [urgent]


def test_whoever_was_late_draws_among_equals_so_that_not_all_want_the_same(
    database, queued, offers
):
    me = offers(database)
    old = [queued(database, owner="anna") for _ in range(30)]
    low, of_ben = queued(database, priority=1, owner="anna"), queued(database, owner="ben")
    set_run(database, of_ben, queued_at=db_now(60))

    def drawn(**how: object) -> set[str]:
        with database.read() as session:
            return {next_ticket(session, me, **how).run_id for _ in range(200)}

    assert drawn() == {old[0]}
    assert drawn(was_late=True) == set(old[:20])
    assert drawn(was_late=True, offered=old[25]) == {old[25]}
    set_run(database, low, priority=9)
    assert drawn(was_late=True) == {low}
    with database.read() as session:
        assert next_ticket(session, offers(database, "w-2", queues=",gpu,"), was_late=True) is None


def test_a_run_goes_only_where_there_is_the_memory_that_it_needs(database, queued, offers):
    large = queued(database, memory_needed=10 * GIB)
    assert next_for(database, offers(database, "w-1", memory_total=10 * GIB - 1)) == []
    assert next_for(database, offers(database, "w-2", memory_total=10 * GIB)) == [large]
    assert next_for(database, offers(database, "w-3")) == [large]  # it does not say what it has


def test_a_run_goes_to_a_worker_that_has_its_dataset_while_one_is_there(database, queued, offers):
    run_id = queued(database, dataset="cifar10")
    without = offers(database, "w-1", datasets=",digits,")
    assert next_for(database, without) == [run_id]  # nobody has it: its trainer fetches it
    having = offers(database, "w-2", datasets=",cifar10,digits,")
    assert (next_for(database, without), next_for(database, having)) == ([], [run_id])
    for change in (
        {"state": "stopped"},
        {"last_seen": db_now(-LIVE_SECONDS - 5)},
        {"revision": "0001"},
        {"queues": ",gpu,"},
        {"datasets": ",cifar100,"},
        {"memory_total": 1},
    ):
        offers(database, "w-2", datasets=",cifar10,digits,")
        set_run(database, run_id, memory_needed=GIB)
        with database.write() as session:
            session.execute(update(Worker).where(Worker.id == "w-2").values(**change))
        assert next_for(database, without) == [run_id], change


def test_what_a_later_program_queued_is_left_alone(database, queued, offers):
    run_id, other = queued(database), queued(database)
    set_run(database, run_id, min_worker_rev="9999")
    assert next_for(database, offers(database)) == [other]


def test_a_resumed_run_waits_behind_those_that_were_queued_before_it(
    database, running, queued, offers
):
    run_id, attempt = running(database)
    set_run(database, run_id, queued_at=datetime(2020, 1, 1, tzinfo=UTC))
    other = queued(database)
    set_run(database, other, queued_at=db_now(-60))
    with database.write() as session:
        interrupt(session, run_id, attempt, reason=DRAIN, message=None)
        requeue(session, run_id, "tester", reason=DRAIN)
    assert order_for(database, offers(database)) == [other, run_id]


def test_a_place_is_told_by_id_number_of_times_and_queue(database, queued):
    first, second = queued(database), queued(database, queue="gpu")
    with database.read() as session:
        assert tickets(session, [second, "gone", first]) == [
            Ticket(second, 1, "gpu"),
            Ticket(first, 1, "default"),
        ]


def test_names_are_put_together_and_parted_again():
    assert joined(["default", "cpu"]) == ",default,cpu,"
    assert parted(",default,cpu,") == ["default", "cpu"]
    assert (joined([]), parted("")) == ("", [])


def test_queues_are_told_with_what_waits_in_them_and_who_serves_them(database, queued, offers):
    oldest = queued(database, queue="gpu")
    queued(database, queue="gpu")
    set_run(database, oldest, queued_at=db_now(-600))
    offers(database, "w-1", queues=",default,cpu,")
    offers(database, "w-2", queues=",cpu,")
    offers(database, "w-3", queues=",a100,", state="stopped")
    with database.read() as session:
        found = {row.name: row for row in queues(session)}
    assert list(found) == ["default", "a100", "cpu", "gpu"]
    assert {name: (row.waiting, row.workers) for name, row in found.items()} == {
        "default": (0, 1),
        "a100": (0, 0),
        "cpu": (0, 2),
        "gpu": (2, 0),
    }
    assert found["gpu"].oldest_seconds is not None
    assert 599 < found["gpu"].oldest_seconds < 660
    assert found["cpu"].oldest_seconds is None


def test_why_a_run_waits_is_told_in_numbers(database, queued, offers):
    run_id = queued(database, queue="gpu", memory_needed=40 * GIB)
    wait = waits(database, run_id)
    assert (wait.live, wait.serving, wait.able, wait.free) == (0, 0, 0, 0)
    offers(database, "w-1")
    assert (waits(database, run_id).live, waits(database, run_id).serving) == (1, 0)
    offers(database, "w-2", queues=",gpu,", memory_total=24 * GIB)
    wait = waits(database, run_id)
    assert (wait.live, wait.serving, wait.able, wait.most_memory) == (2, 1, 0, 24 * GIB)
    offers(database, "w-3", queues=",gpu,", memory_total=80 * GIB, state="busy")
    wait = waits(database, run_id)
    assert (wait.serving, wait.able, wait.free, wait.ahead) == (2, 1, 0, 0)
    queued(database, queue="gpu", priority=9)
    older = queued(database, queue="gpu")
    set_run(database, older, queued_at=datetime(2020, 1, 1, tzinfo=UTC))
    queued(database, queue="gpu")  # behind it
    queued(database, priority=9)  # elsewhere
    assert waits(database, run_id).ahead == 2


@pytest.mark.parametrize(
    "change",
    [{"revision": "0001"}, {"state": "stopped"}, {"last_seen": db_now(-LIVE_SECONDS - 5)}],
    ids=["older", "stopped", "silent"],
)
def test_a_worker_that_can_take_nothing_is_not_counted_on(database, queued, offers, change):
    run_id, worker_id = queued(database), offers(database)
    assert waits(database, run_id).live == 1
    with database.write() as session:
        session.execute(update(Worker).where(Worker.id == worker_id).values(**change))
    wait = waits(database, run_id)
    assert (wait.live, wait.serving, wait.able, wait.free) == (0, 0, 0, 0)
    with database.read() as session:
        assert [row.workers for row in queues(session)] == [0, 0]


def test_what_does_not_wait_waits_for_nothing(database, running):
    run_id, _ = running(database)
    assert waits(database, run_id) is None
    assert waits(database, "gone") is None


def test_a_waiting_run_gets_another_place_its_message_is_due_again_and_its_history_says_so(
    database, queued, worker
):
    run_id = queued(database)
    with database.write() as session:
        assert take_unsent(session, 30) == [run_id]
        assert place(
            session, run_id, "anna", places={"queue": "gpu", "priority": 9}, message="moved"
        )
        run = get_run(session, run_id)
        assert (run.queue, run.priority, run.status) == ("gpu", 9, RunStatus.QUEUED)
        assert take_unsent(session, 30) == [run_id]
        last = events(session, run_id)[-1]
        assert (last.actor, last.message, last.from_status, last.to_status) == (
            "anna",
            "moved",
            "queued",
            "queued",
        )
        assert claim(session, run_id, worker, lease_seconds=60) == 1
        assert not place(session, run_id, "anna", places={"queue": "cpu"}, message="too late")
        assert get_run(session, run_id).queue == "gpu"
        assert not place(session, "gone", "anna", places={"queue": "cpu"}, message="no run")


def test_a_failed_or_interrupted_run_can_be_moved_before_it_is_resumed(database, running):
    for ends in (
        lambda s, r, a: finish(s, r, a, status=RunStatus.FAILED, reason="oom"),
        lambda s, r, a: interrupt(s, r, a, reason="lost", message=None),
    ):
        run_id, attempt = running(database)
        with database.write() as session:
            assert ends(session, run_id, attempt)
            before = get_run(session, run_id).status
            assert place(session, run_id, "anna", places={"memory_needed": GIB}, message="more")
            run = get_run(session, run_id)
        assert (run.memory_needed, run.status, run.attempt) == (GIB, before, 1)
