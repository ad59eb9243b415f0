import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from db.models import Run
from db.reads.queries import checkpoints, get_run
from db.reads.series import class_metrics, class_summaries, metrics, recorded_epochs, snapshot
from db.writes.records import (
    ClassMetricRow,
    ClassSummaryRow,
    MetricRow,
    drop_checkpoints,
    write_checkpoint,
    write_class_metrics,
    write_class_summaries,
    write_evaluation_card,
    write_facts,
    write_metrics,
    write_snapshot,
)

SUMMARY = ClassSummaryRow(1, "bound", "all", 0, 10, 0.5, [place / 40 for place in range(41)])


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_float_is_read_back_to_the_last_bit(database, running, values):
    run_id, attempt = running(database)
    rows = [MetricRow("train", "loss", step, 1, value) for step, value in enumerate(values)]
    with database.write() as session:
        write_metrics(session, run_id, attempt, rows=rows)
    with database.read() as session:
        found = metrics(session, run_id).value
    # SQLite has no negative zero; every other number keeps its 64 bits.
    expected = [value if value or not database.is_sqlite else 0.0 for value in values]
    assert [struct.pack("d", value) for value in found] == [
        struct.pack("d", value) for value in expected
    ]


def test_what_is_no_finite_number_is_stored_as_nothing(database, running):
    run_id, attempt = running(database)
    bad = (math.nan, math.inf, -math.inf, None, np.float32("nan"))
    with database.write() as session:
        rows = [MetricRow("train", "loss", step, 1, value) for step, value in enumerate(bad)]
        write_metrics(session, run_id, attempt, rows=rows)
        write_class_metrics(
            session,
            run_id,
            attempt,
            rows=[ClassMetricRow("test", "robust_error", 1, 0, math.nan, 0)],
        )
        summary = replace(SUMMARY, mean=math.nan, quantiles=[math.inf] * 41)
        write_class_summaries(session, run_id, attempt, rows=[summary])
        write_facts(session, run_id, {"scale": [math.nan, 1.5], "inner": {"lr": -math.inf}})
    with database.read() as session:
        assert metrics(session, run_id).value.isna().all()
        assert class_metrics(session, run_id).value.isna().all()
        assert class_summaries(session, run_id).loc[0, "quantiles"] == [None] * 41
        assert get_run(session, run_id).facts == {"scale": [None, 1.5], "inner": {"lr": None}}


def write_everything(session, run_id: str, attempt: int, value: float) -> None:
    write_metrics(session, run_id, attempt, rows=[MetricRow("train", "loss", 10, 1, value)])
    write_class_metrics(
        session, run_id, attempt, rows=[ClassMetricRow("test", "robust_error", 1, 0, value, 10)]
    )
    write_class_summaries(session, run_id, attempt, rows=[replace(SUMMARY, mean=value)])
    write_snapshot(
        session, run_id, attempt, epoch=1, kind="assignment", columns={"bound": np.full(3, value)}
    )
    write_checkpoint(
        session, run_id, attempt, epoch=1, path=f"e1-{value}", size=10, sha256="0" * 64
    )


def everything(session, run_id: str) -> list:
    return [
        metrics(session, run_id).value.item(),
        class_metrics(session, run_id).value.item(),
        class_summaries(session, run_id)["mean"].item(),
        snapshot(session, run_id, 1, kind="assignment")["bound"][0],
        float(checkpoints(session, run_id)[0].path.removeprefix("e1-")),
    ]


def test_writing_again_replaces_and_an_older_attempt_replaces_nothing(database, running):
    run_id, _ = running(database)
    for attempt, value, expected in ((2, 0.1, 0.1), (2, 0.2, 0.2), (1, 0.3, 0.2), (3, 0.4, 0.4)):
        with database.write() as session:
            write_everything(session, run_id, attempt, value)
        with database.read() as session:
            assert everything(session, run_id) == [expected] * 5


def test_writing_nothing_adds_nothing(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        write_metrics(session, run_id, attempt, rows=[])
    with database.read() as session:
        assert metrics(session, run_id).empty


def test_the_named_quantiles_are_those_of_the_list(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        write_class_summaries(session, run_id, attempt, rows=[SUMMARY])
    with database.read() as session:
        row = class_summaries(session, run_id).iloc[0]
    assert [row[name] for name in ("q05", "q25", "median", "q75", "q95")] == [
        0.05,
        0.25,
        0.5,
        0.75,
        0.95,
    ]
    assert row["quantiles"] == SUMMARY.quantiles


def test_another_number_of_quantiles_is_refused(sqlite_database, running):
    run_id, attempt = running(sqlite_database)
    short = replace(SUMMARY, quantiles=[0.0, 1.0])
    with sqlite_database.write() as session, pytest.raises(ValueError, match="41 quantiles"):
        write_class_summaries(session, run_id, attempt, rows=[short])


def test_values_of_numpy_are_stored_as_numbers(database, running):
    run_id, attempt = running(database)
    rows = [
        MetricRow("train", "loss", np.int64(7), np.int32(1), np.float32(0.1)),
        MetricRow("train", "accuracy", 7, 1, np.float64(0.1)),
    ]
    with database.write() as session:
        write_metrics(session, run_id, attempt, rows=rows)
    with database.read() as session:
        found = metrics(session, run_id)
    assert found.value.tolist() == [0.1, float(np.float32(0.1))]
    assert found.step.tolist() == [7, 7]


def test_facts_and_card_are_read_back_as_written(database, running):
    run_id, _ = running(database)
    facts = {"class_names": ["zero", "eins"], "class_counts": [10, 12], "threads": 2}
    with database.write() as session:
        write_facts(session, run_id, facts)
        write_evaluation_card(session, run_id, {"attack": "pgd", "epsilon": 8 / 255})
    with database.read() as session:
        run = get_run(session, run_id)
    assert run.facts == facts
    assert run.evaluation_card == {"attack": "pgd", "epsilon": 8 / 255}


def test_facts_that_are_not_there_are_null_in_sql(database, queued):
    queued(database)
    with database.read() as session:
        assert session.execute(select(Run.id).where(Run.facts.is_(None))).all()


def test_dropped_checkpoints_are_forgotten_and_the_others_listed_newest_first(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        for epoch in (1, 2, 3, 4):
            write_checkpoint(
                session,
                run_id,
                attempt,
                epoch=epoch,
                path=f"e{epoch}",
                size=3 << 30,
                sha256="0" * 64,
            )
        drop_checkpoints(session, run_id, [1, 3])
        drop_checkpoints(session, run_id, [])
    with database.read() as session:
        assert [(row.epoch, row.size) for row in checkpoints(session, run_id)] == [
            (4, 3 << 30),
            (2, 3 << 30),
        ]


def test_an_empty_snapshot_is_a_recorded_epoch_too(database, running):
    run_id, attempt = running(database)
    with database.write() as session:
        write_snapshot(session, run_id, attempt, epoch=2, kind="assignment", columns={})
    with database.read() as session:
        assert recorded_epochs(session, run_id) == [2]
        assert snapshot(session, run_id, 2, kind="assignment") == {}
