import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from db.connection import migration_engine, parse_url
from db.errors import SchemaMismatchError, SchemaNewerError
from db.migrate import alembic_config, check_revision, head_revision
from db.models import Base
from db.reads.queries import get_run
from db.reads.series import class_metrics, snapshot
from db.session import Database
from db.settings import sqlite_url
from db.writes import transitions

VERSIONS = Path(__file__).parents[2] / "db" / "migrations" / "versions"
RELEASED = sorted((Path(__file__).parent / "released").glob("*.sql"))
"""A dump of a database with one finished run, of every revision there was."""


@pytest.fixture
def empty_engine(empty_url, data_dir):
    (data_dir / "new").mkdir()
    engine = migration_engine(parse_url(empty_url))
    yield engine
    engine.dispose()


def test_the_migrations_make_what_the_models_describe(empty_engine):
    with empty_engine.begin() as connection:
        command.upgrade(alembic_config(connection), "head")
    with empty_engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        constraints = inspect(connection).get_check_constraints("run")
    assert [constraint["name"] for constraint in constraints] == ["ck_run_status"]


def test_a_downgrade_leaves_nothing_and_can_be_upgraded_again(empty_engine):
    for revision, expected in (("head", True), ("base", False), ("head", True)):
        move = command.downgrade if revision == "base" else command.upgrade
        with empty_engine.begin() as connection:
            move(alembic_config(connection), revision)
        with empty_engine.connect() as connection:
            tables = set(inspect(connection).get_table_names()) - {"alembic_version"}
        assert tables == (set(Base.metadata.tables) if expected else set())


def test_the_revisions_that_a_command_knows_are_those_of_the_upgrades():
    scripts = ScriptDirectory.from_config(alembic_config())
    assert head_revision() == scripts.get_current_head()
    for script in scripts.walk_revisions():
        if script.revision != head_revision():
            with pytest.raises(SchemaMismatchError, match=f"is at revision {script.revision}"):
                check_revision(script.revision)
    with pytest.raises(SchemaNewerError):
        check_revision("9999")


def test_every_revision_but_the_newest_has_a_dump():
    *older, _ = sorted(path.stem[1:5] for path in VERSIONS.glob("r*.py"))
    assert [dump.stem for dump in RELEASED] == older


@pytest.mark.parametrize("dump", RELEASED, ids=lambda dump: dump.stem)
def test_a_database_of_every_revision_can_be_upgraded_and_read(dump, data_dir):
    file = data_dir / "caat.db"
    connection = sqlite3.connect(file)
    connection.executescript(dump.read_text())
    (run_id,) = connection.execute("SELECT id FROM run").fetchone()
    connection.close()
    database = Database(sqlite_url(file))
    database.upgrade()
    database.check_schema()
    with database.read() as session:
        run = get_run(session, run_id)
        samples = snapshot(session, run_id, 0, kind="samples")
        assert len(class_metrics(session, run_id, split="test")) == 30
        assert (
            compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []
        )
    assert run is not None
    assert (run.status, run.robust_error) == ("succeeded", 0.9)
    assert samples is not None
    assert len(samples["sample"]) == 60
    database.dispose()


def test_what_revision_0006_renames_keeps_its_content_there_and_back(database, queued, worker):
    run_id = queued(database)
    with database.write() as session:
        transitions.take_unsent(session, 30)
        attempt = transitions.claim(session, run_id, worker, lease_seconds=60)
        transitions.interrupt(session, run_id, attempt, reason="lost", message=None)
        transitions.give_up(
            session, run_id, "reconciler", reason="lost_too_often", message="3 times"
        )
    engine = migration_engine(database.url)

    def kept(column: str) -> list[str]:
        with engine.connect() as connection:
            times = connection.execute(text(f"SELECT {column} FROM run")).scalars().all()
            reasons = "SELECT reason FROM run UNION ALL SELECT reason FROM run_event"
            found = connection.execute(text(reasons)).scalars()
            return [str(*times), *sorted(reason for reason in found if reason)]

    new = kept("sent_at")
    assert new[1:] == ["lost", "lost_too_often", "lost_too_often"]
    for move, revision, column, expected in (
        (command.downgrade, "0005", "rung_at", [new[0], "lost", "poison", "poison"]),
        (command.upgrade, "0006", "sent_at", new),
    ):
        with engine.begin() as connection:
            move(alembic_config(connection), revision)
        assert kept(column) == expected
    engine.dispose()


def _upgrade(url: str, start, answers) -> None:
    start.wait()
    database = Database(url)
    database.upgrade()
    database.check_schema()
    database.dispose()
    answers.put("done")


def eight_upgrades(url: str) -> list[int | None]:
    """Upgrade a database by eight processes at once and return their exit codes."""
    spawn = multiprocessing.get_context("forkserver")
    spawn.set_forkserver_preload(["db.session", "db.migrate", "db.models"])
    start, answers = spawn.Barrier(8), spawn.Queue()
    processes = [spawn.Process(target=_upgrade, args=(url, start, answers)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=90)
    return [process.exitcode for process in processes]


def test_eight_processes_may_migrate_an_empty_database_at_once(empty_url):
    assert eight_upgrades(empty_url) == [0] * 8
    database = Database(empty_url)
    database.check_schema()
    database.dispose()


def _set_revision(database: Database, revision: str) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})


def test_a_database_without_tables_says_what_to_run(empty_url):
    database = Database(empty_url)
    assert database.revision() is None
    with pytest.raises(SchemaMismatchError, match="run `caat db upgrade`"):
        database.check_schema()
    database.dispose()


def test_a_newer_database_is_refused_and_left_alone(database):
    _set_revision(database, "9999")
    for refuse in (database.check_schema, database.upgrade):
        with pytest.raises(SchemaMismatchError, match="newer than this program's"):
            refuse()
    assert database.revision() == "9999"


def test_an_older_database_says_what_to_run(database, monkeypatch):
    monkeypatch.setattr("db.migrate.head_revision", lambda: "9998")
    with pytest.raises(SchemaMismatchError, match="needs 9998: run `caat db upgrade`"):
        database.check_schema()


def test_a_file_is_copied_before_its_tables_are_changed(sqlite_database, data_dir, monkeypatch):
    monkeypatch.setattr("db.migrate.head_revision", lambda: "9998")
    sqlite_database.upgrade()
    assert (data_dir / "caat.db.before-9998").stat().st_size > 0


def test_upgrading_twice_changes_nothing(database):
    database.upgrade()
    database.check_schema()
    assert database.revision() == database.head_revision()
