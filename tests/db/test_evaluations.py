from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import func, select, text

from db.evaluations import NewEvaluation, evaluations, outcomes, write_evaluation
from db.models import FINAL, Evaluation, Run, RunStatus
from db.writes.transitions import ended_with, finish

OUTCOMES = {
    "sample": np.arange(5),
    "label": np.array([0, 0, 1, 1, 1]),
    "clean": np.array([0, 1, 1, 1, 0]),
    "attacked": np.array([1, 1, 1, 0, 0]),
}
NEW = NewEvaluation(FINAL, "attack", 5, {"attack": "pgd", "epsilon": 0.1}, outcomes=OUTCOMES)


def test_what_was_said_of_each_image_is_read_back_as_it_was(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        write_evaluation(session, run_id, attempt, new=NEW)
    with database.read() as session:
        found = outcomes(session, run_id, FINAL)
        (row,) = evaluations(session, run_id)
    assert found is not None
    assert {name: column.tolist() for name, column in found.items()} == {
        name: column.tolist() for name, column in OUTCOMES.items()
    }
    assert (row.name, row.kind, row.n, row.card, row.findings) == (
        FINAL,
        "attack",
        5,
        NEW.card,
        None,
    )


def test_an_evaluation_made_again_replaces_the_one_before(database, running):
    run_id, attempt = running(database)
    for card in ({"seed": 0}, {"seed": 1}):
        with database.write() as session:
            write_evaluation(session, run_id, attempt, new=replace(NEW, card=card))
    with database.read() as session:
        assert [row.card for row in evaluations(session, run_id)] == [{"seed": 1}]


def test_findings_need_no_outcomes_and_may_hold_no_number(database, running):
    run_id, attempt = running(database)
    curve = {"epsilon": [0.0, 0.1], "robust_accuracy": [0.5, float("nan")]}
    with database.write() as session:
        new = NewEvaluation("curve", "curve", 5, {"attack": "pgd"}, findings=curve)
        write_evaluation(session, run_id, attempt, new=new)
    with database.read() as session:
        (row,) = evaluations(session, run_id)
        assert outcomes(session, run_id, "curve") is None
    assert row.findings == {"epsilon": [0.0, 0.1], "robust_accuracy": [0.5, None]}


def test_a_runs_evaluations_go_with_it(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        write_evaluation(session, run_id, attempt, new=NEW)
    with database.write() as session:
        session.delete(session.get_one(Run, run_id))
    with database.read() as session:
        assert session.execute(select(func.count()).select_from(Evaluation)).scalar() == 0


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED])
def test_a_run_rests_once_its_newest_attempt_has_ended(database, running, status):
    run_id, attempt = running(database)
    with database.write() as session:
        assert not ended_with(session, run_id, attempt)
        finish(session, run_id, attempt, status=status)
        assert ended_with(session, run_id, attempt)
        assert not ended_with(session, run_id, attempt + 1)


def test_what_an_evaluation_has_not_found_is_null_to_whoever_asks_in_sql(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        write_evaluation(session, run_id, attempt, new=NEW)
        write_evaluation(session, run_id, attempt, new=replace(NEW, name="b", findings={"n": 1}))
    with database.read() as session:
        null = session.execute(text("SELECT name FROM evaluation WHERE findings IS NULL"))
        assert null.scalars().all() == [FINAL]
