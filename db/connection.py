"""SQLAlchemy engines for the two databases, each with the settings that make it safe."""

from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from db.errors import DatabaseUrlError

try:
    from pysqlite3 import dbapi2 as sqlite_driver
except ImportError:  # not packaged for this platform: the standard library's, older SQLite
    import sqlite3 as sqlite_driver

BUSY_TIMEOUT_MS = 10_000
STATEMENT_TIMEOUT_MS = 15_000
IDLE_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_S = 5
READS = "caat_reads"
"""The execution option of an engine that cannot write."""
_SQLITE_CACHE_KIB = 16_384
# No prepared statements: behind a pooler the next one may meet a session that does not know it.
_CONNECTING = {"connect_timeout": CONNECT_TIMEOUT_S, "prepare_threshold": None}

SqliteError: type[Exception] = sqlite_driver.Error
"""What the driver in use raises."""


def parse_url(url: str) -> URL:
    """Return the URL with the driver that this project uses, or say what is wrong with it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("sqlite", "postgresql", "postgres"):
        raise DatabaseUrlError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise DatabaseUrlError("must name a file, as in sqlite:////data/caat.db")
        return parsed.set(drivername="sqlite+pysqlite")
    return parsed.set(drivername="postgresql+psycopg")


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Tell whether this SQLite lacks the WAL-reset race, which can corrupt a shared file.

    It was mended in 3.51.3, and in 3.50.7 and 3.44.6 of two older lines.
    See https://sqlite.org/wal.html#walresetbug.
    """
    return (
        version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    )


def journal_mode() -> str:
    """Return the journal mode that this process's SQLite can be trusted with."""
    return "wal" if wal_is_safe(sqlite_driver.sqlite_version_info) else "delete"


def sqlite_writer(url: URL, *, foreign_keys: bool = True) -> Engine:
    """Return an engine whose transactions take the write lock at once.

    A transaction that reads first and asks for the lock later fails at once if another writer
    came between, whatever the busy timeout.
    """
    pragmas = [f"foreign_keys={'ON' if foreign_keys else 'OFF'}"]
    return _sqlite_engine(url, begin="BEGIN IMMEDIATE", pragmas=pragmas)


def sqlite_reader(url: URL) -> Engine:
    """Return an engine that cannot write, whose transactions see one state."""
    return _sqlite_engine(url, begin="BEGIN", pragmas=["query_only=ON"])


def _sqlite_engine(url: URL, *, begin: str, pragmas: list[str]) -> Engine:
    engine = create_engine(url, module=sqlite_driver)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would come too late
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        # Changing the mode wants the file for itself, so it is changed only where it differs.
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != journal_mode():
            cursor.execute(f"PRAGMA journal_mode={journal_mode()}")
        for pragma in ["synchronous=FULL", f"cache_size=-{_SQLITE_CACHE_KIB}", *pragmas]:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def postgresql_engine(url: URL) -> Engine:
    """Return the pooled engine of everyday work, with limits on how long anything may take.

    The limits travel with each BEGIN, and nothing is kept in the server's session: behind a pooler
    the next transaction may find itself in another one.
    """
    limits = (
        f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS};"
        f" SET LOCAL idle_in_transaction_session_timeout = {IDLE_TIMEOUT_MS}"
    )
    # Without autocommit the driver would send a BEGIN of its own first, on a way of its own.
    engine = create_engine(url, pool_pre_ping=True, connect_args=_CONNECTING | {"autocommit": True})

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        reads = connection.get_execution_options().get(READS, False)
        kind = f"READ COMMITTED{', READ ONLY' if reads else ''}"
        connection.exec_driver_sql(f"BEGIN ISOLATION LEVEL {kind}; {limits}")

    return engine


def migration_engine(url: URL) -> Engine:
    """Return an engine for changing tables: no statement timeout, no foreign keys on SQLite.

    SQLite changes a table by copying it and dropping the old one, and dropping it would cascade.
    """
    if url.get_backend_name() == "sqlite":
        return sqlite_writer(url, foreign_keys=False)
    return create_engine(
        url, poolclass=NullPool, isolation_level="READ COMMITTED", connect_args=_CONNECTING
    )
