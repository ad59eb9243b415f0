"""A page of the list of runs is what filtering, sorting and cutting all of them gives."""

import numpy as np
import pytest
from sqlalchemy import event, update

from db import studies
from db.models import Run, RunStatus
from db.reads import comparison, listing, queries
from db.reads.listing import RunFilter
from db.session import Database
from db.types import db_now
from db.writes import deletion, records, transitions
from db.writes.records import MetricRow


def new_run(session, name: str, method: str = "caat", dataset: str = "digits", epochs: int = 10):
    new = transitions.NewRun(name, {"name": name}, "digest", method, dataset, 0, epochs)
    return transitions.create_run(session, new, "test")[0]


@pytest.fixture
def known(database: Database) -> dict[str, str]:
    """Runs by their names: one failed, one of another method, one of another dataset."""
    with database.write() as session:
        found = {name: new_run(session, name) for name in ("Alpha", "beta 50%", "Broken")}
        found["Trades"] = new_run(session, "Trades", method="trades")
        found["Fashion"] = new_run(session, "Fashion", dataset="fashion-mnist")
        worker = transitions.WorkerIdentity("w", "h", "b", 1, "cpu")
        transitions.claim(session, found["Broken"], worker, lease_seconds=60)
        transitions.finish(
            session, found["Broken"], 1, status=RunStatus.FAILED, reason="error", message="why"
        )
    return found


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (RunFilter(), {"Alpha", "beta 50%", "Broken", "Trades", "Fashion"}),
        (RunFilter(text="ALPHA"), {"Alpha"}),
        (RunFilter(text="50%"), {"beta 50%"}),
        (RunFilter(text="a_pha"), set()),
        (RunFilter(text="trades digits"), {"Trades"}),
        (RunFilter(statuses=("failed",)), {"Broken"}),
        (RunFilter(methods=("trades", "mart")), {"Trades"}),
        (RunFilter(methods=("caat",), datasets=("fashion-mnist",)), {"Fashion"}),
    ],
)
def test_a_filter_keeps_what_meets_all_of_it(database, known, wanted, names):
    with database.read() as session:
        rows, number = listing.runs(session, wanted, 0, number=50)
    assert {row.name for row in rows} == names
    assert number == len(names)


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\udcff\udcfe", "\ud800"])
def test_what_no_database_can_hold_is_looked_for_and_not_found(database, known, text):
    wanted = RunFilter(text=f"x{text}", methods=(text,), datasets=(text,))
    with database.read() as session:
        assert listing.runs(session, wanted, 0, number=50) == ([], 0)
        assert queries.find_runs(session, f"x{text}") == []
        assert queries.get_run(session, text) is None
        assert studies.runs_of(session, f"x{text}", 5) == []
        assert comparison.finished_of(session, text) == []


def test_pages_together_are_the_whole_list_in_its_order(database, known):
    with database.read() as session:
        pages = [listing.runs(session, RunFilter(), first, number=2) for first in (0, 2, 4, 6)]
        whole = queries.list_runs(session)
    assert [row.id for rows, _ in pages for row in rows] == [row.id for row in whole]
    assert {number for _, number in pages} == {5}


def test_the_overview_counts_and_its_token_changes_with_every_status(database, known):
    with database.write() as session:
        before = listing.overview(session)
        transitions.request_stop(session, known["Alpha"], "test")
        after = listing.overview(session)
    assert before.counts == {"queued": 4, "failed": 1}
    assert after.counts == {"queued": 3, "failed": 1, "cancelled": 1}
    assert after.token > before.token
    assert before.newest_result is None


def test_the_newest_result_is_of_the_run_that_succeeded_last(database, known):
    worker = transitions.WorkerIdentity("w", "h", "b", 1, "cpu")
    with database.write() as session:
        for name in ("Fashion", "Alpha"):
            transitions.claim(session, known[name], worker, lease_seconds=60)
            transitions.finish(session, known[name], 1, status=RunStatus.SUCCEEDED)
        assert listing.overview(session).newest_result.name == "Alpha"


@pytest.mark.parametrize("epochs", [1, 39, 40, 200, 1000])
def test_a_curve_is_the_accuracy_of_few_epochs_and_ends_with_the_newest(database, epochs):
    errors = np.linspace(0.9, 0.4, epochs)
    with database.write() as session:
        run_id = new_run(session, "Long", epochs=epochs)
        worker = transitions.WorkerIdentity("w", "h", "b", 1, "cpu")
        transitions.claim(session, run_id, worker, lease_seconds=60)
        rows = [
            MetricRow("validation", "robust_error", 7 * epoch, epoch, float(error))
            for epoch, error in enumerate(errors, 1)
        ]
        records.write_metrics(session, run_id, 1, rows=rows)
        transitions.epoch_done(session, run_id, 1, epoch=epochs)
        curve = listing.curves(session, [run_id])[run_id]
    assert len(curve) <= listing.CURVE_POINTS + 1
    assert curve[-1] == pytest.approx(1 - errors[-1])
    assert set(np.round(curve, 9)) <= set(np.round(1 - errors, 9))
    assert np.all(np.diff(curve) > 0)


def test_the_curves_of_all_rows_are_one_statement(database, known):
    said = []
    with database.read() as session:
        engine = session.get_bind()
        event.listen(engine, "before_cursor_execute", lambda *given: said.append(given[2]))
        assert listing.curves(session, list(known.values())) == {}
    assert len(said) == 1


def test_methods_and_datasets_to_choose_from_are_those_of_the_runs(database, known):
    with database.read() as session:
        found = listing.choices(session)
    assert found == listing.Choices(["caat", "trades"], ["digits", "fashion-mnist"], [], [])


def test_a_run_that_is_being_deleted_is_in_no_number_and_gives_way_to_the_result_before_it(
    database, known
):
    worker = transitions.WorkerIdentity("w", "h", "b", 1, "cpu")
    with database.write() as session:
        for name in ("Alpha", "Trades"):
            transitions.claim(session, known[name], worker, lease_seconds=60)
            transitions.finish(session, known[name], 1, status=RunStatus.SUCCEEDED)
        deletion.start_deletion(session, known["Trades"], "test")
        found = listing.overview(session)
        rows, number = listing.runs(session, RunFilter(), 0, number=50)
    assert found.counts == {"queued": 2, "failed": 1, "succeeded": 1}
    assert found.newest_result.name == "Alpha"
    assert len(rows) == number == 4
    assert "Trades" not in {row.name for row in rows}


def test_a_curve_is_of_the_robust_error_on_validation_data_alone(database):
    worker = transitions.WorkerIdentity("w", "h", "b", 1, "cpu")
    values = {
        ("validation", "robust_error"): 0.25,
        ("validation", "natural_error"): 0.5,
        ("test", "robust_error"): 0.75,
    }
    with database.write() as session:
        run_id = new_run(session, "One", epochs=3)
        transitions.claim(session, run_id, worker, lease_seconds=60)
        rows = [
            MetricRow(split, name, epoch, epoch, value if epoch < 3 else None)
            for (split, name), value in values.items()
            for epoch in (1, 2, 3)
        ]
        records.write_metrics(session, run_id, 1, rows=rows)
        assert listing.curves(session, [run_id]) == {run_id: [0.75, 0.75]}


def test_a_launch_is_found_again_by_who_made_it_of_what_and_how_long_ago(database):
    with database.write() as session:
        mine = {}
        for place, (digest, actor) in enumerate(
            [("one", "me"), ("one", "me"), ("one", "you"), ("two", "me")]
        ):
            new = transitions.NewRun("A", {}, digest, "caat", "digits", 0, 5)
            run_id = transitions.create_run(session, new, actor)[0]
            mine[place] = run_id
            made = update(Run).where(Run.id == run_id)
            session.execute(made.values(created_at=db_now(-40 + 10 * place)))
        # A stranger's deed on a run does not make it the stranger's launch.
        transitions.request_stop(session, mine[3], "you")

        def found(digest, actor, seconds):
            known = listing.started_lately(session, digest, actor, seconds=seconds)
            return known and (known[0], round(known[1], -1))

        assert found("one", "me", 60) == (mine[1], 30)
        assert found("one", "me", 35) == (mine[1], 30)
        assert found("one", "me", 25) is None
        assert found("one", "you", 60) == (mine[2], 20)
        assert found("two", "you", 60) is None
        assert found("three", "me", 60) is None


def test_what_was_recorded_before_an_attempt_is_not_counted_to_it(database):
    worker = transitions.WorkerIdentity("w", "h", "b", 1, "cpu")
    with database.write() as session:
        run_id = new_run(session, "One", epochs=9)
        for attempt, epochs in ((1, (1, 2, 3)), (2, (4, 5))):
            assert transitions.claim(session, run_id, worker, lease_seconds=60) == attempt
            assert queries.get_run(session, run_id).epochs_before == epochs[0] - 1
            for epoch in epochs:
                row = MetricRow("validation", "robust_error", epoch, epoch, 0.5)
                records.write_metrics(session, run_id, attempt, rows=[row])
                transitions.epoch_done(session, run_id, attempt, epoch=epoch)
                assert queries.get_run(session, run_id).epochs_before == epochs[0] - 1
            if attempt == 1:
                transitions.interrupt(session, run_id, 1, reason="lost", message=None)
                transitions.requeue(session, run_id, "tester", reason="user")
