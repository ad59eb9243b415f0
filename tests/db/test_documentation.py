import re
from pathlib import Path

import pytest
from sqlalchemy import text

from db.evaluations import NewEvaluation, write_evaluation
from db.models import RunStatus
from db.writes.records import (
    ClassMetricRow,
    ClassSummaryRow,
    MetricRow,
    write_class_metrics,
    write_class_summaries,
    write_metrics,
)
from db.writes.transitions import finish

PAGE = Path(__file__).parents[2] / "docs" / "database.md"
QUERIES = re.findall(r"```sql\n(.+?)```", PAGE.read_text(), flags=re.DOTALL)
ERRORS = ("natural_error", "boundary_error", "robust_error")


@pytest.fixture
def finished(database, running):
    run_id, attempt = running(database, study="table 1")
    overall = [MetricRow("test", name, 50, 5, 0.25 * place) for place, name in enumerate(ERRORS)]
    by_class = [
        ClassMetricRow("test", name, 5, class_index, 0.1 * (class_index + place), 20)
        for place, name in enumerate(ERRORS)
        for class_index in range(2)
    ]
    shares = [ClassMetricRow("train", "anti_adversary_share", 5, 0, 0.5, 40)]
    summaries = [
        ClassSummaryRow(5, "bound", group, 0, 20, 0.5, [0.5] * 41) for group in ("clean", "flipped")
    ]
    with database.write() as session:
        write_metrics(session, run_id, attempt, rows=overall)
        write_class_metrics(session, run_id, attempt, rows=by_class + shares)
        write_class_summaries(session, run_id, attempt, rows=summaries)
        write_evaluation(session, run_id, attempt, new=NewEvaluation("final", "attack", 20, {}))
        finish(session, run_id, attempt, status=RunStatus.SUCCEEDED)
    return run_id


@pytest.mark.parametrize("place", range(len(QUERIES)))
def test_every_query_of_the_page_finds_something(database, finished, place):
    with database.read() as session:
        assert session.execute(text(QUERIES[place])).all()


def test_the_first_query_gives_one_line_a_run(database, finished):
    with database.read() as session:
        (row,) = session.execute(text(QUERIES[0])).all()
    assert (row.id, row.natural_error, row.boundary_error, row.robust_error) == (
        finished,
        0.0,
        0.25,
        0.5,
    )


def test_the_worst_class_is_the_one_with_the_largest_error(database, finished):
    with database.read() as session:
        (row,) = session.execute(text(QUERIES[2])).all()
    assert row.class_index == 1


def test_every_table_is_described(sqlite_database):
    with sqlite_database.read() as session:
        tables = session.execute(text("SELECT name FROM sqlite_schema WHERE type = 'table'"))
        for name in set(tables.scalars()) - {"alembic_version", "sqlite_sequence"}:
            assert f"| `{name}` |" in PAGE.read_text()
