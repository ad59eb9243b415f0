import socket
import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from db.connection import journal_mode, wal_is_safe
from db.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseFullError,
    DatabaseUnreachableError,
    SchemaMismatchError,
)
from db.reads.queries import run_count
from db.session import Database
from db.settings import sqlite_url
from db.writes.transitions import create_run


def test_what_a_writer_did_is_undone_by_an_error(database, new_run):
    def fail_after_writing():
        with database.write() as session:
            create_run(session, new_run(), "tester")
            raise LookupError("something else")

    with pytest.raises(LookupError):
        fail_after_writing()
    with database.read() as session:
        assert run_count(session) == 0


def test_a_reader_cannot_write(database, new_run):
    with pytest.raises(DatabaseError), database.read() as session:
        create_run(session, new_run(), "tester")


def test_a_reader_is_not_kept_waiting_by_a_writer(database, new_run):
    with database.write() as writer:
        create_run(writer, new_run(), "tester")
        with database.read() as reader:
            assert run_count(reader) == 0


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 44, 7), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
    ],
)
def test_wal_is_used_only_where_sqlite_cannot_corrupt_it(version, safe):
    assert wal_is_safe(version) is safe


def test_every_sqlite_connection_is_durable_and_checks_foreign_keys(sqlite_database):
    with sqlite_database.write() as session:
        pragmas = {
            name: session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2
    assert pragmas == {
        "journal_mode": journal_mode(),
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


def test_every_postgresql_connection_has_limits(postgresql_database):
    with postgresql_database.write() as session:
        assert session.execute(text("SHOW statement_timeout")).scalar() == "15s"
        assert session.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "30s"
        assert session.execute(text("SHOW transaction_isolation")).scalar() == "read committed"


def test_a_locked_file_is_told_as_busy(sqlite_database, monkeypatch):
    monkeypatch.setattr("db.connection.BUSY_TIMEOUT_MS", 50)
    other = Database(sqlite_database.url.render_as_string())
    with (
        sqlite_database.write(),
        pytest.raises(DatabaseBusyError, match="busy: database is locked"),
        other.write(),
    ):
        pass
    other.dispose()


def test_a_full_disk_is_told_as_such(database):
    def fill():
        with database.write() as session:
            if database.is_sqlite:
                session.execute(text("PRAGMA max_page_count=1"))  # no page more than there are
                session.execute(text("CREATE TABLE more AS SELECT zeroblob(1000000) AS b"))
            else:
                raised = "RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend'"
                session.execute(text(f"DO $$ BEGIN {raised}; END $$"))

    with pytest.raises(DatabaseFullError, match=r"no room for the database .*: free some space"):
        fill()


def test_a_cancelled_statement_is_told_as_busy(postgresql_database):
    def sleep_too_long():
        with postgresql_database.write() as session:
            session.execute(text("SET LOCAL statement_timeout = 20"))
            session.execute(text("SELECT pg_sleep(5)"))

    with pytest.raises(DatabaseBusyError, match="statement timeout"):
        sleep_too_long()


def test_an_unreachable_server_is_told_in_one_line_without_the_password():
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://caat:hunter2@127.0.0.1:{taken.getsockname()[1]}/caat"
        database = Database(url)
        with pytest.raises(DatabaseUnreachableError) as caught, database.read():
            pass
        with pytest.raises(DatabaseUnreachableError):
            database.upgrade()
        with pytest.raises(DatabaseUnreachableError):
            database.check_schema()
    told = str(caught.value)
    assert "\n" not in told
    assert "127.0.0.1" in told
    assert "hunter2" not in told
    assert "hunter2" not in repr(database)


def test_a_password_that_the_driver_repeats_is_hidden(postgresql_server):
    url = make_url("postgresql://caat:hunter2@/hunter2").set(query=postgresql_server.query)
    database = Database(url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnreachableError, match=r'"\*\*\*" does not exist') as caught:
        database.upgrade()
    assert "hunter2" not in str(caught.value).replace(database.display_url, "")


@pytest.mark.parametrize(
    "url", ["mysql://localhost/x", "nonsense", "", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_that_is_no_database_of_ours_says_what_one_looks_like(url):
    with pytest.raises(DatabaseError, match="CAAT_DATABASE_URL must"):
        Database(url)


def test_a_file_that_is_no_database_is_told(data_dir):
    (data_dir / "caat.db").write_bytes(b"this is not a database, " * 100)
    database = Database(sqlite_url(data_dir / "caat.db"))
    with pytest.raises(DatabaseError, match="not a database"):
        database.upgrade()
    with pytest.raises(DatabaseError, match="not a database"), database.read():
        pass
    database.dispose()


def test_a_missing_table_says_which_command_makes_it(empty_url, data_dir):
    (data_dir / "new").mkdir()
    database = Database(empty_url)
    with pytest.raises(SchemaMismatchError, match="caat db upgrade"), database.read() as session:
        run_count(session)
    database.dispose()


def test_a_backup_is_a_database_with_the_same_rows(sqlite_database, data_dir, queued):
    queued(sqlite_database)
    sqlite_database.backup(data_dir / "copy.db")
    copy = Database(sqlite_url(data_dir / "copy.db"))
    copy.check_schema()
    with copy.read() as session:
        assert run_count(session) == 1
    assert copy.integrity_problems() == []
    copy.dispose()
    with pytest.raises(DatabaseError, match="exists already"):
        sqlite_database.backup(data_dir / "copy.db")
    with pytest.raises(DatabaseError, match="cannot copy the database to"):
        sqlite_database.backup(data_dir / "no such folder" / "copy.db")


def test_postgresql_is_backed_up_by_its_own_tools(postgresql_database, data_dir):
    with pytest.raises(DatabaseError, match="pg_dump"):
        postgresql_database.backup(data_dir / "copy.db")
    assert postgresql_database.integrity_problems() == []


def test_the_standard_library_can_stand_in_for_the_packaged_sqlite(data_dir, monkeypatch):
    monkeypatch.setattr("db.connection.sqlite_driver", sqlite3)
    database = Database(sqlite_url(data_dir / "caat.db"))
    database.upgrade()
    with database.write() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == journal_mode()
    database.dispose()
