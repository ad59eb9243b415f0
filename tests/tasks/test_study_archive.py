"""Studies as one file: what comes along, what stays, and what is refused."""

import lzma
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.compare.study import read_tables
from app.compare.study_text import as_json
from db.evaluations import outcomes
from db.models import Attempt, Checkpoint, ClassSummary, Metric, Run, RunEvent
from db.reads import queries, series
from db.session import Database
from db.settings import sqlite_url
from engine.errors import UserError
from tasks.results.study_archive import export_studies, import_studies
from tests.app.studio import Studio


@pytest.fixture
def home(sqlite_database):
    """Two studies that share a run, one that failed, and one of nobody's."""
    studio = Studio(sqlite_database)
    for seed in (1, 0):
        for method in ("caat", "trades"):
            run_id = studio.finished("F", study="S", seed=seed, method={"name": method})
            studio.called(run_id, "S", "noise", f"my {method}", place=seed)
    studio.called(run_id, "T", "other", "shared")
    studio.failed("Failed", "lost")
    studio.finished("Alone")
    return sqlite_database


RELEASED = sorted((Path(__file__).parents[1] / "db" / "released").glob("*.sql"))


@pytest.fixture(params=[RELEASED[0], RELEASED[-1]], ids=lambda path: path.stem)
def released(request):
    """A dump of a database of an earlier revision."""
    return request.param


@pytest.fixture
def file(home, data_dir):
    export_studies(home, ["S", "T"], data_dir / "studies.caat")
    return data_dir / "studies.caat"


@pytest.fixture
def database(empty_url, data_dir):
    """Another database than the one at home, of each kind."""
    (data_dir / "new").mkdir()
    other = Database(empty_url)
    other.upgrade()
    yield other
    other.dispose()


def number(database, model, *where) -> int:
    with database.read() as session:
        return session.execute(select(func.count()).select_from(model).where(*where)).scalar_one()


def test_the_tables_of_a_study_are_the_same_to_the_last_digit(home, file, database):
    done = import_studies(database, file, "tester")
    assert (sorted(done.studies), done.copied, done.there) == (["S", "T"], 4, 0)
    for name in ("S", "T"):
        assert as_json(read_tables(database, name)) == as_json(read_tables(home, name))


def test_a_second_import_adds_nothing(file, database):
    import_studies(database, file, "tester")
    done = import_studies(database, file, "tester")
    assert (done.copied, done.there) == (0, 4)
    assert number(database, Run) == 4


def test_an_import_adds_what_is_missing_and_names_what_is_there(home, file, data_dir, database):
    part = data_dir / "part.caat"
    export_studies(home, ["T"], part)
    import_studies(database, part, "tester")
    done = import_studies(database, file, "tester")
    assert (done.copied, done.there) == (3, 1)
    assert as_json(read_tables(database, "S")) == as_json(read_tables(home, "S"))


def test_curves_classes_and_what_was_said_of_each_image_come_along(home, file, database):
    import_studies(database, file, "tester")
    with home.read() as there, database.read() as here:
        for run in queries.list_runs(here):
            for split in ("validation", "test"):
                mine = series.class_metrics(here, run.id, split=split)
                assert mine.equals(series.class_metrics(there, run.id, split=split))
            said, before = outcomes(here, run.id, "final"), outcomes(there, run.id, "final")
            assert {name: list(column) for name, column in said.items()} == {
                name: list(column) for name, column in before.items()
            }
            copy, original = queries.get_run(here, run.id), queries.get_run(there, run.id)
            assert (copy.scenario, copy.facts, copy.evaluation_card) == (
                *(original.scenario, original.facts, original.evaluation_card),
            )


def test_samples_are_those_of_the_lowest_seeds_last_epoch(file, database):
    import_studies(database, file, "tester")
    with database.read() as session:
        for run in queries.list_runs(session):
            last = series.snapshot(session, run.id, run.epoch, kind="assignment")
            first = series.snapshot(session, run.id, 1, kind="assignment")
            assert first is None
            assert (last is not None) == (run.seed == 0)
            quantities = number(database, ClassSummary, ClassSummary.run_id == run.id)
            assert (quantities > 0) == (run.seed == 0)
            of_batches = (Metric.run_id == run.id, Metric.name == "batch_loss")
            assert (number(database, Metric, *of_batches) > 0) == (run.seed == 0)


def test_hosts_and_checkpoints_stay_and_one_event_says_where_a_run_is_from(file, database):
    import_studies(database, file, "tester")
    assert number(database, Attempt) == number(database, Checkpoint) == 0
    with database.read() as session:
        events = session.execute(select(RunEvent.actor, RunEvent.reason)).all()
    assert [tuple(event) for event in events] == [("tester", "imported")] * 4


def test_a_study_without_a_finished_run_is_refused_and_writes_no_file(home, data_dir):
    out = data_dir / "none.caat"
    with pytest.raises(UserError, match="STUDY: no finished run belongs to 'Nobody'"):
        export_studies(home, ["S", "Nobody"], out)
    assert not out.exists()


def packed(data_dir, content: bytes):
    path = data_dir / "x.caat"
    path.write_bytes(lzma.compress(content))
    return path


def test_what_is_no_such_file_is_refused_in_one_line(database, data_dir, file):
    plain = data_dir / "plain.caat"
    plain.write_text("no")
    cut = data_dir / "cut.caat"
    cut.write_bytes(file.read_bytes()[:-100])
    for path in (plain, cut):
        with pytest.raises(UserError, match=r"is no file of `caat study export`$"):
            import_studies(database, path, "tester")
    empty = data_dir / "empty.db"
    sqlite3.connect(empty).execute("CREATE TABLE x (y)").connection.close()
    for content in (b"", b"no database", empty.read_bytes()):
        with pytest.raises(UserError, match=r"holds no studies$"):
            import_studies(database, packed(data_dir, content), "tester")
    assert number(database, Run) == 0


def test_a_file_of_a_later_program_is_refused(database, data_dir, file):
    later = data_dir / "later.db"
    later.write_bytes(lzma.decompress(file.read_bytes()))
    connection = sqlite3.connect(later)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(UserError, match="is of a later program"):
        import_studies(database, packed(data_dir, later.read_bytes()), "tester")


def test_a_file_that_unpacks_without_end_is_refused(database, data_dir, file, monkeypatch):
    monkeypatch.setattr("tasks.results.study_archive.LARGEST", 1000)
    with pytest.raises(UserError, match="is larger than 1,000 bytes unpacked"):
        import_studies(database, file, "tester")


def test_a_file_of_an_earlier_program_is_brought_to_this_ones_tables(database, data_dir, released):
    earlier = data_dir / "earlier.db"
    connection = sqlite3.connect(earlier)
    connection.executescript(released.read_text())
    connection.execute("UPDATE run SET study = 'Then'")
    connection.commit()
    connection.close()
    done = import_studies(database, packed(data_dir, earlier.read_bytes()), "tester")
    assert (done.studies, done.copied) == (["Then"], 1)
    assert Database(sqlite_url(earlier)).revision() == released.stem
