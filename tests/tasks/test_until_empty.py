"""`caat worker --until-empty`: it does what waits, then leaves, as Slurm wants it."""

import pytest

from db.errors import DatabaseUnreachableError
from db.models import RunStatus
from db.writes.interruption import Interrupted
from tasks.worker import housekeeping, last_run, slot


def test_a_worker_until_empty_trains_what_waits_and_ends_with_code_zero(sqlite_studio):
    run_id = sqlite_studio.queue("training.epochs=1")
    done = sqlite_studio.caat("worker", "--devices", "cpu", "--until-empty")
    assert done.returncode == 0, done.stderr
    assert sqlite_studio.run(run_id).status is RunStatus.SUCCEEDED


@pytest.fixture
def looks(studio, monkeypatch):
    """Have the worker's looks cost no time; count them."""
    seen: list[float] = []
    monkeypatch.setattr(last_run.time, "sleep", seen.append)
    monkeypatch.setattr(last_run, "identity", lambda: type("Me", (), {"id": "nobody"}))
    return seen


def test_it_ends_after_some_looks_that_find_nothing(looks):
    ended = []
    last_run.end_when_empty(lambda: ended.append(True))
    assert (len(looks), ended) == (last_run.LOOKS, [True])


def test_a_look_that_finds_something_starts_the_count_again(looks, monkeypatch):
    answers = iter([True, True, False, True, True, True])
    monkeypatch.setattr(last_run, "_is_empty", lambda: next(answers))
    last_run.end_when_empty(lambda: None)
    assert len(looks) == 6


def test_a_database_that_is_away_has_not_said_that_nothing_waits(looks, monkeypatch):
    def away(**_):
        raise DatabaseUnreachableError("gone")

    assert last_run._is_empty()
    monkeypatch.setattr(last_run, "open_database", away)
    assert not last_run._is_empty()


def test_a_run_at_work_is_not_nothing(looks, monkeypatch):
    monkeypatch.setattr(slot, "_is_taken", True)
    assert not last_run._is_empty()


@pytest.mark.parametrize(("times", "is_empty"), [(0, False), (10_000, True)])
def test_an_interrupted_run_counts_while_a_worker_queues_it_again(
    looks, monkeypatch, times, is_empty
):
    waiting = Interrupted("run", "lost", lost=times, times=times)
    monkeypatch.setattr(last_run.interruption, "resumable", lambda *_: [waiting])
    assert last_run._is_empty() is is_empty


def test_a_worker_that_was_told_to_end_is_not_kept(looks, monkeypatch):
    monkeypatch.setattr(housekeeping.draining, "is_set", lambda: True)
    last_run.end_when_empty(lambda: None)
    assert looks == []
