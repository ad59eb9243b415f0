"""What a job may store, and what it takes up again: parts under its fence, only those that fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from db import parts as kept
from db.evaluations import NewEvaluation, evaluations, write_evaluation
from db.models import EVALUATION, RunStatus
from db.reads import queries
from db.writes import deletion, transitions
from db.writes.transitions import NewRun, WorkerIdentity
from engine.errors import Stopped
from tasks.recording.recorder import ReplacedError
from tasks.results.job import Job, StoredParts

ME = WorkerIdentity("worker-1", "lab-01", "boot", 4242, "cpu")
TRAINED = NewRun("The run", {}, "0" * 64, "caat", "digits", 0, 5)


def ended(database) -> str:
    """Return a run that has ended."""
    with database.write() as session:
        run_id, _ = transitions.create_run(session, TRAINED, "test")
        transitions.claim(session, run_id, ME, lease_seconds=60)
        transitions.finish(session, run_id, 1, status=RunStatus.SUCCEEDED)
    return run_id


def queued(database, run_id: str) -> str:
    about_it = replace(TRAINED, name="pgd", num_epochs=1, kind=EVALUATION, subject_id=run_id)
    with database.write() as session:
        return transitions.create_run(session, replace(about_it, request={}), "test")[0]


def at_work(database, job_id: str, should_stop=lambda: False) -> Job:
    """Return the next attempt of a job."""
    with database.write() as session:
        attempt = transitions.claim(session, job_id, ME, lease_seconds=60)
    return attempt_of(database, job_id, attempt, should_stop)


def attempt_of(database, job_id, attempt, should_stop=lambda: False) -> Job:
    with database.read() as session:
        row = queries.get_run(session, job_id)
    assert row is not None
    return Job(database, row, attempt, should_stop=should_stop)


def take_over(database, job_id: str) -> Job:
    """Take a job from its attempt, as when its worker seems gone."""
    with database.write() as session:
        attempt = queries.get_run(session, job_id).attempt
        transitions.interrupt(session, job_id, attempt, reason="lost", message="gone")
        transitions.requeue(session, job_id, "reconciler", reason="retry")
    return at_work(database, job_id)


def stored(database, job_id: str):
    with database.read() as session:
        return kept.parts(session, job_id)


def batch(value: float):
    """Return two images of one grey, and their labels."""
    return torch.full((2, 1, 2, 2), value), torch.tensor([3, 4])


def attacked(parts: StoredParts, value: float, said: list[int], share: float = 0.5) -> list[int]:
    x, y = batch(value)
    return parts.part(x, y, lambda: torch.tensor(said), share=share).tolist()


def parts_of(database, job: Job) -> StoredParts:
    parts = StoredParts(job, stored(database, job.id))
    parts.expect(1, 4)
    parts.begin()
    return parts


def test_another_attempt_takes_up_what_is_stored_and_counts_on_from_there(database):
    job = at_work(database, queued(database, ended(database)))
    parts = parts_of(database, job)
    assert attacked(parts, 0.2, [1, 2]) == [1, 2]
    parts.store()
    with database.read() as session:
        row = queries.get_run(session, job.id)
    assert (row.step, row.num_steps, row.phase, row.progress) == (2, 4, "evaluating", 0.5)

    later = take_over(database, job.id)
    again = parts_of(database, later)
    assert attacked(again, 0.2, [9, 9]) == [1, 2]  # not looked at again
    assert attacked(again, 0.4, [5, 6], share=1.0) == [5, 6]
    again.store()
    assert [part.said.tolist() for part in stored(database, job.id).values()] == [[1, 2], [5, 6]]


def test_what_was_found_of_other_images_is_not_taken_up(database):
    job = at_work(database, queued(database, ended(database)))
    parts = parts_of(database, job)
    attacked(parts, 0.2, [1, 2])
    parts.store()
    later = parts_of(database, take_over(database, job.id))
    assert attacked(later, 0.6, [7, 8]) == [7, 8]
    later.store()
    assert [part.said.tolist() for part in stored(database, job.id).values()] == [[7, 8]]


def test_an_attempt_that_was_replaced_stores_nothing_neither_parts_nor_an_evaluation(database):
    run_id = ended(database)
    old = at_work(database, queued(database, run_id))
    parts = parts_of(database, old)
    attacked(parts, 0.2, [1, 2])
    take_over(database, old.id)
    with pytest.raises(ReplacedError):
        parts.store()
    assert stored(database, old.id) == {}
    outcomes = {"sample": np.arange(2), "label": np.arange(2)}
    new = NewEvaluation("PGD", "attack", 2, {}, outcomes=outcomes)
    with pytest.raises(ReplacedError):
        old.write(
            lambda session: old.succeed(session, "stored"),
            first=lambda session: write_evaluation(session, run_id, 1, new=new),
        )
    with database.read() as session:
        assert evaluations(session, run_id) == []
        assert queries.get_run(session, old.id).status is RunStatus.RUNNING


def test_a_stop_stores_what_was_found_before_it_is_heeded(database):
    job = at_work(database, queued(database, ended(database)), should_stop=lambda: True)
    parts = parts_of(database, job)
    attacked(parts, 0.2, [1, 2])
    with pytest.raises(Stopped):
        parts.check()
    assert len(stored(database, job.id)) == 1


def test_a_job_that_gets_on_is_not_one_that_was_lost_at_its_start(database):
    job = at_work(database, queued(database, ended(database)))
    later = take_over(database, job.id)
    with database.read() as session:
        assert queries.get_run(session, job.id).infra_attempts == 1
    parts = parts_of(database, later)
    attacked(parts, 0.2, [1, 2])
    parts.store()
    with database.read() as session:
        row = queries.get_run(session, job.id)
    assert (row.infra_attempts, row.epoch) == (0, 0)


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_run_does_not_go_while_a_job_of_it_is_active_and_takes_ended_ones_with_it(
    database, status
):
    run_id = ended(database)
    job = queued(database, run_id)
    if status == "running":
        at_work(database, job)
    with database.write() as session:
        assert not deletion.start_deletion(session, run_id, "test")
        assert queries.get_run(session, run_id).status is RunStatus.SUCCEEDED
    with database.write() as session:
        if status == "running":
            transitions.finish(session, job, 1, status=RunStatus.FAILED)
        else:
            transitions.request_stop(session, job, "test")
    with database.write() as session:
        assert deletion.start_deletion(session, run_id, "test")
        assert queries.get_run(session, job).status is RunStatus.DELETING
    with database.write() as session:
        assert not transitions.requeue(session, job, "test", reason="user")
