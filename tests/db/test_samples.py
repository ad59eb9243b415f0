import numpy as np
import pytest

from db.reads.samples import courses, history, quantities, recorded_runs
from db.writes.records import ClassSummaryRow, write_class_summaries, write_snapshot

GRID = np.linspace(0, 1, 41)


@pytest.fixture
def recorded(database, running):
    """Makes a run that has recorded three epochs of four samples."""

    def make(**fields: object) -> str:
        run_id, attempt = running(database, **fields)
        with database.write() as session:
            for epoch in (1, 2, 4):
                weight = np.array([0.1, 0.2, 0.3, 0.4], np.float32) * epoch
                columns = {"sample": np.arange(4), "clean_weight": weight}
                write_snapshot(
                    session, run_id, attempt, epoch=epoch, kind="assignment", columns=columns
                )
                rows = [
                    ClassSummaryRow(epoch, "clean_weight", group, index, 2, epoch / 4, list(GRID))
                    for group in ("all", "clean")
                    for index in range(3)
                ]
                write_class_summaries(session, run_id, attempt, rows=rows)
        return run_id

    return make


def test_only_runs_with_recorded_epochs_are_there_newest_first(database, recorded, queued):
    first, second = recorded(), recorded(name="second", seed=3)
    queued(database)
    with database.read() as session:
        found = recorded_runs(session)
    assert [row.id for row in found] == [second, first]
    assert (found[0].name, found[0].seed) == ("second", 3)


def test_the_history_holds_every_recorded_epoch_of_the_classes_that_are_asked_for(
    database, recorded
):
    run_id = recorded()
    with database.read() as session:
        found = history(session, run_id, "clean_weight", classes=[0, 2])
        whole = history(session, run_id, "clean_weight")
        nothing = history(session, run_id, "bound")
    assert sorted(set(found["class_index"])) == [0, 2]
    assert found.groupby("label_group")["epoch"].unique().map(list).to_dict() == {
        "all": [1, 2, 4],
        "clean": [1, 2, 4],
    }
    assert (found["median"] == 0.5).all()
    assert "quantiles" not in found
    assert (len(whole), len(nothing)) == (18, 0)


def test_quantities_are_those_of_the_epoch(database, recorded):
    run_id = recorded()
    with database.read() as session:
        assert quantities(session, run_id, 2) == ["clean_weight"]
        assert quantities(session, run_id, 3) == []


def test_one_samples_course_runs_through_the_wanted_epochs(database, recorded):
    run_id = recorded()
    with database.read() as session:
        found = courses(session, run_id, [1, 4], names=["clean_weight", "loss"], row=2)
    assert found["epoch"].tolist() == [1, 4]
    assert found["clean_weight"].to_numpy() == pytest.approx([0.3, 1.2])
    assert found["loss"].isna().all()
