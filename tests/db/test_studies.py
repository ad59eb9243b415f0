"""Studies: one name for runs that belong together."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, update

from db import studies
from db.models import Run, RunStatus
from db.reads import comparison, queries
from db.reads.comparison import CellNames
from db.studies import Found, create_study
from db.writes.deletion import start_deletion
from db.writes.transitions import claim, epoch_done, finish
from tests.db.conftest import WORKER


def submitted(database, new_run, name: str, key: str, num_runs: int = 2):
    runs = [new_run(seed=seed, idempotency_key=f"{key}/{seed}") for seed in range(num_runs)]
    with database.write() as session:
        return create_study(session, name, runs, actor="tester")


def listed(database) -> dict[str, studies.StudyRow]:
    with database.read() as session:
        return {row.name: row for row in studies.studies(session)}


def test_a_taken_name_gets_a_number_that_is_free(database, new_run):
    names = [submitted(database, new_run, "50 %_", key).name for key in "abc"]
    assert names == ["50 %_", "50 %_ 2", "50 %_ 3"]
    assert submitted(database, new_run, "50 %_ 2", "d").name == "50 %_ 2 2"
    long = [submitted(database, new_run, "x" * 300, key).name for key in "ef"]
    assert len(set(long)) == 2
    assert max(map(len, long)) <= studies.NAME_LENGTH == Run.study.type.length


def test_one_key_makes_one_study_however_often_and_from_how_many_places(database, new_run):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: submitted(database, new_run, "One", "key"), range(4)))
    assert [study.created for study in found].count(True) == 1
    assert len({(study.name, tuple(study.run_ids)) for study in found}) == 1
    with database.read() as session:
        assert queries.run_count(session) == 2


def test_studies_of_one_name_made_at_once_stay_apart(database, new_run):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda key: submitted(database, new_run, "One", key), "abcd"))
    assert len({study.name for study in found}) == 4


def test_a_study_tells_how_many_runs_stand_where(database, new_run, queued, running):
    done, _ = running(database, study="S", num_epochs=4)
    half, _ = running(database, study="S", num_epochs=4)
    queued(database, study="S", num_epochs=8)
    queued(database)
    with database.write() as session:
        finish(session, done, 1, status=RunStatus.SUCCEEDED)
        epoch_done(session, half, 1, epoch=2)
    (row,) = listed(database).values()
    assert (row.name, row.total, row.is_active) == ("S", 3, True)
    assert row.statuses == {
        RunStatus.SUCCEEDED: 1,
        RunStatus.RUNNING: 1,
        RunStatus.QUEUED: 1,
    }
    assert row.progress == (4 + 2) / 16
    with database.read() as session:
        mine = studies.runs_of(session, "S", 10)
        ended = queries.get_run(session, done)
    assert {run.study for run in mine} == {"S"}
    assert len(mine) == 3
    assert ended is not None
    assert row.changed_at is not None
    assert row.changed_at >= ended.started_at


def test_the_study_that_changed_last_stands_first(database, new_run, running):
    submitted(database, new_run, "Older", "a")
    submitted(database, new_run, "Newer", "b")
    assert list(listed(database)) == ["Newer", "Older"]
    running(database, study="Older")
    assert list(listed(database)) == ["Older", "Newer"]


def test_a_study_changed_when_the_last_of_its_runs_did_and_lives_while_one_can_change(
    database, running, queued
):
    ended, _ = running(database, study="S")
    failed, _ = running(database, study="S")
    with database.write() as session:
        finish(session, ended, 1, status=RunStatus.SUCCEEDED)
        finish(session, failed, 1, status=RunStatus.FAILED)
        for day, run_id in ((3, failed), (7, ended)):
            begun, done = (datetime(2026, 1, n, tzinfo=UTC) for n in (9 - day, day))
            times = {"queued_at": begun, "started_at": begun, "ended_at": done}
            session.execute(update(Run).where(Run.id == run_id).values(**times))
    row = listed(database)["S"]
    assert (row.changed_at, row.is_active) == (datetime(2026, 1, 7, tzinfo=UTC), False)
    queued(database, study="S")
    row = listed(database)["S"]
    assert row.changed_at > datetime(2026, 1, 7, tzinfo=UTC)
    assert row.is_active


def test_what_is_being_deleted_is_no_part_of_a_study(database, running):
    kept, going, alone = (running(database, study=name)[0] for name in ("S", "S", "T"))
    with database.write() as session:
        for run_id in (kept, going, alone):
            finish(session, run_id, 1, status=RunStatus.FAILED)
        for run_id in (going, alone):
            start_deletion(session, run_id, "tester")
    assert {name: row.total for name, row in listed(database).items()} == {"S": 1}


def test_runs_of_a_known_study_come_back_in_the_order_of_their_keys(database, new_run):
    runs = [new_run(seed=n, idempotency_key=f"key/{n}") for n in (2, 0, 3, 1)]
    with database.write() as session:
        made = create_study(session, "S", runs, actor="tester")
        again = create_study(session, "Other", runs, actor="tester")
    assert (again.name, again.created) == ("S", False)
    assert again.run_ids == [made.run_ids[place] for place in (1, 3, 0, 2)]


def extended(database, new_run, digests: str, name: str = "S", **fields):
    """Give a study a run of each letter; return where each comes from, and its id."""
    cells = [
        studies.Cell(
            new_run(seed=n, scenario_digest=64 * digest, **fields), "noise", "caat 1", "caat", n
        )
        for n, digest in enumerate(digests)
    ]
    with database.write() as session:
        return studies.extend_study(session, name, cells, numerics=2, actor="tester")


def origins(made) -> list[Found]:
    return [found for found, _ in made]


def end(database, run_id, status, numerics=2):
    with database.write() as session:
        claim(session, run_id, WORKER, lease_seconds=60)
        session.execute(update(Run).where(Run.id == run_id).values(facts={"numerics": numerics}))
        finish(session, run_id, 1, status=status)


def test_a_study_gets_what_it_does_not_have_and_its_name_stays(database, new_run):
    first = extended(database, new_run, "ab")
    again = extended(database, new_run, "bca")
    assert origins(first) == [Found.NEW] * 2
    assert origins(again) == [Found.THERE, Found.NEW, Found.THERE]
    assert [again[0], again[2]] == [(Found.THERE, first[n][1]) for n in (1, 0)]
    assert list(listed(database)) == ["S"]
    assert listed(database)["S"].total == 3


def test_what_waits_or_has_succeeded_elsewhere_is_shared_and_not_trained_again(
    database, new_run, queued
):
    alone = queued(database, scenario_digest=64 * "a")
    (_, there), *_ = extended(database, new_run, "b")
    end(database, there, RunStatus.SUCCEEDED)
    made = extended(database, new_run, "abc", name="T")
    assert made[:2] == [(Found.SHARED, alone), (Found.SHARED, there)]
    assert origins(made)[2] is Found.NEW
    assert {name: row.total for name, row in listed(database).items()} == {"S": 1, "T": 3}
    with database.read() as session:
        assert {run.id for run in studies.runs_of(session, "T", 9)} == {id for _, id in made}
        (row,) = comparison.finished_of(session, "T")
        (own,) = comparison.finished_of(session, "S")
        assert row.id == own.id == there
    assert row.cell == CellNames("noise", "caat 1", "caat", 1)
    assert origins(extended(database, new_run, "abc", name="T")) == [Found.THERE] * 3


def test_of_two_that_could_be_shared_the_one_that_has_succeeded_is(database, new_run, queued):
    done = queued(database, scenario_digest=64 * "a")
    end(database, done, RunStatus.SUCCEEDED)
    queued(database, scenario_digest=64 * "a")
    assert extended(database, new_run, "a") == [(Found.SHARED, done)]


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
def test_what_failed_or_was_stopped_elsewhere_is_trained_anew(database, new_run, queued, status):
    other = queued(database, scenario_digest=64 * "a")
    with database.write() as session:
        session.execute(update(Run).where(Run.id == other).values(status=status))
    assert origins(extended(database, new_run, "a")) == [Found.NEW]


def test_other_data_and_a_program_of_other_numbers_are_trained_anew(database, new_run, queued):
    older = queued(database, scenario_digest=64 * "a")
    end(database, older, RunStatus.SUCCEEDED, numerics=1)
    queued(database, scenario_digest=64 * "b", data_digest="then")
    assert origins(extended(database, new_run, "ab", data_digest="now")) == [Found.NEW] * 2
    assert origins(extended(database, new_run, "b", name="T", data_digest="then")) == [Found.SHARED]


def test_more_fingerprints_than_a_statement_takes_are_looked_up(database, new_run, monkeypatch):
    monkeypatch.setattr(studies, "_FEW", 1)
    extended(database, new_run, "abc")
    assert origins(extended(database, new_run, "abcd", name="T")) == [Found.SHARED] * 3 + [
        Found.NEW
    ]


def test_a_study_that_goes_leaves_what_another_shares(database, new_run):
    (_, shared), (_, own) = extended(database, new_run, "ab")
    extended(database, new_run, "a", name="T")
    extended(database, new_run, "b", name="Other")
    with database.write() as session:
        assert studies.give_up(session, "Other") == ([], 0)
        assert studies.give_up(session, "S") == ([(own, RunStatus.QUEUED)], 1)
        session.execute(delete(Run).where(Run.id == own))
    assert {name: row.total for name, row in listed(database).items()} == {"T": 1}
    with database.write() as session:
        assert studies.give_up(session, "T") == ([(shared, RunStatus.QUEUED)], 0)


def test_a_study_that_is_extended_from_many_places_at_once_has_each_run_once(database, new_run):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: extended(database, new_run, "abc"), range(4)))
    assert listed(database)["S"].total == 3
    assert sum(origin is Found.NEW for one in found for origin in origins(one)) == 3


def test_a_name_that_a_study_has_by_shared_runs_alone_is_taken(database, new_run):
    extended(database, new_run, "a")
    extended(database, new_run, "a", name="T")
    assert submitted(database, new_run, "T", "key").name == "T 2"


def test_what_is_being_deleted_is_made_anew(database, new_run):
    ((_, run_id),) = extended(database, new_run, "a")
    with database.write() as session:
        session.execute(update(Run).where(Run.id == run_id).values(status=RunStatus.FAILED))
        start_deletion(session, run_id, "tester")
    ((found, anew),) = extended(database, new_run, "a")
    assert (found, anew != run_id) == (Found.NEW, True)
