"""Moving the tables to the newest revision, one process at a time.

Alembic is loaded by an upgrade alone: every command asks for revisions, which are two small reads.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import OperationalError

from db import modes
from db.atomic_write import atomic_write
from db.connection import SqliteError, migration_engine, parse_url
from db.errors import DatabaseBusyError, DatabaseError, SchemaMismatchError, SchemaNewerError
from db.urls import display_url

if TYPE_CHECKING:
    from alembic.config import Config

_SCRIPTS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x63616174  # "caat"
LOCK_SECONDS = 60.0
"""For so long an upgrade waits for another one on PostgreSQL."""
_thread_lock = threading.Lock()  # Alembic keeps its state in module globals


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration, for a connection that the caller commits."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@cache
def head_revision() -> str:
    """Return the newest revision that this program knows."""
    return max(_known_revisions())


REVISION = text("SELECT version_num FROM alembic_version")


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the tables, or nothing if there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(REVISION).scalar_one_or_none()


def check_revision(revision: str | None) -> None:
    """Refuse tables of another revision than this program's."""
    head = head_revision()
    if revision == head:
        return
    if revision is None:
        raise SchemaMismatchError("the database has no tables yet: run `caat db upgrade`")
    if revision in _known_revisions():
        raise SchemaMismatchError(
            f"the database is at revision {revision}, this program needs {head}: "
            "run `caat db upgrade`"
        )
    raise SchemaNewerError(revision, head)


def upgrade(url: str) -> None:
    """Bring the tables to the newest revision; make the file and its folder if there are none."""
    from alembic import command

    parsed = parse_url(url)
    engine = migration_engine(parsed)
    file = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
    try:
        with _thread_lock, _file_lock(file) if file else nullcontext():
            if file:
                _keep_copy(engine, file)
            with engine.begin() as connection:
                if file is None:
                    _lock_tables(connection, display_url(url))
                if _is_behind(current_revision(connection)):
                    command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()


def _is_behind(revision: str | None) -> bool:
    """Tell whether there is something to do, and refuse tables newer than this program."""
    if revision is not None and revision not in _known_revisions():
        check_revision(revision)
    return revision != head_revision()


def _keep_copy(engine: Engine, file: Path) -> None:
    with engine.connect() as connection:
        revision = current_revision(connection)
        connection.rollback()
    if revision is not None and _is_behind(revision):
        before = file.with_name(f"{file.name}.before-{head_revision()}")
        backup_sqlite(engine, before, modes.file_mode(file.parent))


def backup_sqlite(engine: Engine, target: Path, mode: int) -> None:
    """Copy a SQLite file while others use it; a copy of that name is kept until this one is whole.

    Raises:
        DatabaseError: It cannot be copied, or there cannot be such a file.
    """
    try:
        with atomic_write(target, mode) as temporary, engine.connect() as connection:
            driver_connection = connection.connection.driver_connection
            assert driver_connection is not None
            # Straight to the driver: VACUUM refuses to run inside a transaction.
            driver_connection.execute("VACUUM INTO ?", (str(temporary),))
    except SqliteError as error:
        raise DatabaseError(f"cannot copy the database to {target}: {error}") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise DatabaseError(f"cannot copy the database to {target}: {why}") from error


@cache
def _known_revisions() -> frozenset[str]:
    """Return the revisions by the names of their files: r0001_tables.py is revision 0001."""
    files = (_SCRIPTS / "versions").glob("r*_*.py")
    return frozenset(file.name[1:].partition("_")[0] for file in files)


@contextmanager
def _file_lock(database_file: Path) -> Iterator[None]:
    _make(database_file.parent)
    path = database_file.with_name(f"{database_file.name}.migration-lock")
    with open(path, "w", opener=modes.opener) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database_file.exists():  # SQLite would let everybody read it, and a group not write
            modes.create(database_file)
        yield


def _make(folder: Path) -> None:
    if not folder.is_dir():
        _make(folder.parent)
        modes.make(folder)


def _lock_tables(connection: Connection, where: str) -> None:
    """Keep other migrations out until the transaction ends, whatever becomes of this process.

    A lock of the session would stay behind where a pooler keeps the server's session.
    """
    limits = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
    wait = f"SET LOCAL lock_timeout = {round(LOCK_SECONDS * 1000)}"
    connection.exec_driver_sql(f"{limits}; {wait}")
    try:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    except OperationalError as error:
        if type(error.orig).__name__ != "LockNotAvailable":
            raise
        raise DatabaseBusyError(
            f"another process has held the tables of {where} for {LOCK_SECONDS:g} s: wait until "
            "its upgrade is done; if there is none, a session of an earlier version kept its lock: "
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            f"WHERE locktype = 'advisory' AND objid = {_ADVISORY_LOCK} AND granted"
        ) from error
    connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
