"""Behind PgBouncer nothing hangs on the server's session, which changes with every transaction."""

import threading
import time
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL

from db import migrate
from db.errors import DatabaseBusyError, DatabaseUnreachableError
from db.models import RunStatus
from db.reads.leases import holders, lock_if_silent
from db.session import Database
from db.writes.transitions import WorkerIdentity, claim, fence, heartbeat
from tests.db.test_migrations import eight_upgrades
from tests.db.test_transitions import at_once
from tests.real import pooler, servers

needs_pooler = pytest.mark.skipif(pooler.may_be_left_out(), reason=pooler.MISSING)


def url_of(pooled: URL, database: URL | str) -> str:
    name = database.database if isinstance(database, URL) else database
    return pooled.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def pooled(postgresql_server):
    """The URL of a pooler in transaction mode, with two connections a database."""
    with pooler.pgbouncer(postgresql_server) as url:
        yield url


@pytest.fixture
def pooled_database(pooled, postgresql_database):
    database = Database(url_of(pooled, postgresql_database.url))
    yield database
    database.dispose()


@pytest.fixture
def pooled_empty_url(pooled, postgresql_server):
    with servers.new_database(postgresql_server) as url:
        yield url_of(pooled, url)


@needs_pooler
def test_the_limits_hold_in_every_transaction_whichever_session_it_meets(pooled_database):
    limits = ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_isolation")
    expected = ["15s", "30s", "read committed"]
    found = []

    def look(opened):
        for _ in range(10):
            with opened() as session:
                told = [session.execute(text(f"SHOW {name}")).scalar() for name in limits]
                read_only = session.execute(text("SHOW transaction_read_only")).scalar()
                found.append((told, read_only, opened.__name__))

    threads = [
        threading.Thread(target=look, args=(opened,))
        for opened in (pooled_database.read, pooled_database.write) * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 60
    assert {name for _, _, name in found} == {"read", "write"}
    for told, read_only, name in found:
        assert (told, read_only) == (expected, "on" if name == "read" else "off")


@needs_pooler
def test_a_slow_statement_is_cancelled_behind_a_pooler_too(pooled_database, monkeypatch):
    monkeypatch.setattr("db.connection.STATEMENT_TIMEOUT_MS", 50)
    database = Database(pooled_database.url.render_as_string())
    with pytest.raises(DatabaseBusyError, match="statement timeout"), database.write() as session:
        session.execute(text("SELECT pg_sleep(5)"))
    database.dispose()


@needs_pooler
def test_no_statement_is_prepared_for_a_session_that_may_not_be_met_again(pooled_database):
    for number in range(30):
        with pooled_database.read() as session:
            assert session.execute(text("SELECT :n + 1"), {"n": number}).scalar() == number + 1
    with pooled_database.read() as session:
        prepared = "SELECT count(*) FROM pg_prepared_statements"
        assert session.execute(text(prepared)).scalar() == 0


@needs_pooler
def test_a_run_is_claimed_once_and_its_lease_is_kept_behind_a_pooler(pooled_database, queued):
    database, run_id = pooled_database, queued(pooled_database)

    def take(session, number):
        worker = WorkerIdentity(f"worker-{number}", "host", "boot", number, "cpu")
        return claim(session, run_id, worker, lease_seconds=60)

    assert sorted(filter(None, at_once(database, take))) == [1]
    with database.write() as session:
        assert fence(session, run_id, 1)
        with database.write() as beat:
            assert heartbeat(beat, run_id, 1, lease_seconds=-1) is RunStatus.RUNNING
    with database.write() as session:
        (holder,) = holders(session)
        assert (holder.run_id, holder.lease_left < 0) == (run_id, True)
        assert lock_if_silent(session, holder)


@needs_pooler
def test_eight_processes_may_migrate_at_once_behind_a_pooler(pooled_empty_url, pooled):
    assert eight_upgrades(pooled_empty_url) == [0] * 8
    database = Database(pooled_empty_url)
    database.check_schema()
    with database.read() as session:
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert session.execute(text(locks)).scalar() == 0
    database.dispose()


@needs_pooler
def test_in_statement_mode_one_line_says_what_to_set(postgresql_server):
    with pooler.pgbouncer(postgresql_server, "statement") as url:
        database = Database(url_of(url, url))
        with pytest.raises(DatabaseUnreachableError, match="pool_mode = transaction or session"):
            database.upgrade()
        with (
            pytest.raises(DatabaseUnreachableError, match="pool_mode = transaction or session"),
            database.read(),
        ):
            pass
        database.dispose()


@needs_pooler
def test_in_session_mode_everything_works_as_well(postgresql_server, postgresql_database, queued):
    with pooler.pgbouncer(postgresql_server, "session") as url:
        database = Database(url_of(url, postgresql_database.url))
        run_id = queued(database)
        database.upgrade()
        with database.read() as session:
            assert session.execute(text("SHOW statement_timeout")).scalar() == "15s"
            assert session.execute(text("SELECT id FROM run")).scalar() == run_id
        database.dispose()


@needs_pooler
def test_options_of_the_url_that_a_pooler_refuses_are_told_with_the_cure(pooled):
    url = pooled.update_query_dict({"options": "-c search_path=public"})
    database = Database(url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnreachableError, match=r"take it out, or set ignore_startup"):
        database.upgrade()
    database.dispose()


def test_options_of_the_url_hold_where_the_server_takes_them(postgresql_database):
    url = postgresql_database.url.update_query_dict({"options": "-c work_mem=7777kB"})
    database = Database(url.render_as_string(hide_password=False))
    with database.read() as session:
        assert session.execute(text("SHOW work_mem")).scalar() == "7777kB"
        assert session.execute(text("SHOW statement_timeout")).scalar() == "15s"
    database.dispose()


def test_a_lock_that_an_earlier_version_left_behind_is_told_and_not_waited_for_for_ever(
    empty_postgresql_url, monkeypatch
):
    monkeypatch.setattr("db.migrate.LOCK_SECONDS", 0.2)
    database = Database(empty_postgresql_url)
    plain = empty_postgresql_url.replace("postgresql+psycopg", "postgresql")
    with closing(psycopg.connect(plain, autocommit=True)) as other:
        other.execute(f"SELECT pg_advisory_lock({migrate._ADVISORY_LOCK})")
        began = time.monotonic()
        with pytest.raises(DatabaseBusyError, match="has held the tables") as told:
            database.upgrade()
        assert time.monotonic() - began < 10
        assert "\n" not in str(told.value)
        cure = str(told.value).partition("kept its lock: ")[2]
        with database.write() as session:
            assert session.execute(text(cure)).scalar() is True
    monkeypatch.undo()
    database.upgrade()
    database.check_schema()
    database.dispose()


def test_a_server_that_only_reads_is_told_as_one_that_may_lead_later(postgresql_database, queued):
    with postgresql_database.write() as session:
        name = postgresql_database.url.database
        session.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    standby = Database(postgresql_database.url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnreachableError, match="as a standby does until it leads"):
        queued(standby)
    with standby.read() as session:
        assert session.execute(text("SELECT count(*) FROM run")).scalar() == 0
    standby.dispose()
