import numpy as np
import pytest

from db.models import RunStatus
from db.reads.comparison import FinishedRow, class_errors, finished_runs, overall_errors
from db.writes.records import (
    ClassMetricRow,
    MetricRow,
    write_class_metrics,
    write_evaluation_card,
    write_facts,
    write_metrics,
)
from db.writes.transitions import finish

CARD = {"attack": "pgd", "epsilon": 0.1}


@pytest.fixture
def finished(database, running):
    """Makes a finished run whose errors are all the same share."""

    def make(share: float | None = 0.25, **fields: object) -> str:
        run_id, attempt = running(database, **fields)
        names = ("natural_error", "boundary_error", "robust_error")
        overall = ("natural_error", "robust_error", "worst_natural_error", "worst_robust_error")
        with database.write() as session:
            write_facts(session, run_id, {"class_names": ["a", "b"], "num_test": 40})
            for split, epoch in (("validation", 1), ("validation", 2), ("test", 2)):
                rows = [MetricRow(split, name, 10 * epoch, epoch, share) for name in overall]
                rows += [MetricRow(split, "loss", 10 * epoch, epoch, 7.0)]
                write_metrics(session, run_id, attempt, rows=rows)
                by_class = [
                    ClassMetricRow(split, name, epoch, place, share, 20)
                    for name in (*names, "anti_adversary_share")
                    for place in range(2)
                ]
                write_class_metrics(session, run_id, attempt, rows=by_class)
            write_evaluation_card(session, run_id, CARD)
            finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)
        return run_id

    return make


def test_only_finished_runs_are_compared_newest_first(database, finished, queued, running):
    first, second = finished(), finished()
    queued(database)
    failed, attempt = running(database)
    with database.write() as session:
        finish(session, failed, attempt, status=RunStatus.FAILED)
    with database.read() as session:
        assert [row.id for row in finished_runs(session)] == [second, first]
        assert [row.id for row in finished_runs(session, limit=1)] == [second]


def test_a_finished_run_comes_with_its_scenario_its_protocol_and_its_class_names(
    database, finished
):
    run_id = finished(name="one", seed=3, study="table 1")
    with database.read() as session:
        (row,) = finished_runs(session)
    assert row == FinishedRow(
        id=run_id,
        name="one",
        method="caat",
        dataset="digits",
        seed=3,
        study="table 1",
        scenario={"seed": 0, "method": {"name": "caat"}},
        card=CARD,
        class_names=["a", "b"],
    )


def test_a_run_without_facts_or_card_is_compared_all_the_same(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)
    with database.read() as session:
        (row,) = finished_runs(session)
    assert (row.card, row.class_names) == (None, None)


def test_errors_are_those_of_the_runs_and_the_split_that_were_asked_for(database, finished):
    wanted, other = finished(0.25), finished(0.75)
    with database.read() as session:
        overall = overall_errors(session, [wanted], "test")
        history = overall_errors(session, [wanted, other], "validation")
        by_class = class_errors(session, [wanted])
    assert set(overall["run_id"]) == set(by_class["run_id"]) == {wanted}
    assert overall[["epoch", "value"]].drop_duplicates().to_numpy().tolist() == [[2, 0.25]]
    assert len(overall) == 4
    assert len(history) == 2 * 4 * 2
    natural = history.query("run_id == @wanted and name == 'natural_error'")
    assert natural["epoch"].tolist() == [1, 2]
    assert len(by_class) == 3 * 2
    assert by_class["n"].unique().tolist() == [20]


def test_what_is_no_number_is_read_as_nan(database, finished):
    run_id = finished(float("nan"))
    with database.read() as session:
        assert np.isnan(overall_errors(session, [run_id], "test")["value"]).all()


def test_of_no_runs_there_is_an_empty_table_with_its_columns(database):
    with database.read() as session:
        overall, by_class = overall_errors(session, [], "test"), class_errors(session, [])
    assert overall.empty
    assert by_class.empty
    assert overall.dtypes["value"] == by_class.dtypes["value"] == "float64"
    assert list(by_class.columns) == ["run_id", "name", "class_index", "value", "n"]
