"""Moving the tables to the newest revision, one process at a time."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from db import modes
from db.engines import SqliteError, migration_engine, parse_url
from db.errors import DatabaseError, SchemaMismatchError, SchemaNewerError
from db.replaced import replaced

_SCRIPTS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x63616174  # "caat"
_thread_lock = threading.Lock()  # Alembic keeps its state in module globals


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration, for a connection that the caller commits."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@cache
def head_revision() -> str:
    """Return the newest revision that this program knows."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the tables, or nothing if there are none."""
    return MigrationContext.configure(connection).get_current_revision()


def check_revision(revision: str | None) -> None:
    """Refuse tables of another revision than this program's."""
    head = head_revision()
    if revision == head:
        return
    if revision is None:
        raise SchemaMismatchError("the database has no tables yet: run `caat db upgrade`")
    if _is_known(revision):
        raise SchemaMismatchError(
            f"the database is at revision {revision}, this program needs {head}: "
            "run `caat db upgrade`"
        )
    raise SchemaNewerError(revision, head)


def upgrade(url: str) -> None:
    """Bring the tables to the newest revision; make the file and its folder if there are none."""
    parsed = parse_url(url)
    engine = migration_engine(parsed)
    file = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
    try:
        with _thread_lock, _file_lock(file) if file else _advisory_lock(engine):
            _upgrade(engine, file)
    finally:
        engine.dispose()


def _upgrade(engine: Engine, file: Path | None) -> None:
    with engine.connect() as connection:
        revision = current_revision(connection)
        connection.rollback()
    if revision == head_revision():
        return
    if revision is not None and not _is_known(revision):
        check_revision(revision)
    if revision is not None and file is not None:
        before = file.with_name(f"{file.name}.before-{head_revision()}")
        backup_sqlite(engine, before, modes.file_mode(file.parent))
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "head")


def backup_sqlite(engine: Engine, target: Path, mode: int) -> None:
    """Copy a SQLite file while others use it; a copy of that name is kept until this one is whole.

    Raises:
        DatabaseError: It cannot be copied, or there cannot be such a file.
    """
    try:
        with replaced(target, mode) as temporary, engine.connect() as connection:
            driver_connection = connection.connection.driver_connection
            assert driver_connection is not None
            # Straight to the driver: VACUUM refuses to run inside a transaction.
            driver_connection.execute("VACUUM INTO ?", (str(temporary),))
    except SqliteError as error:
        raise DatabaseError(f"cannot copy the database to {target}: {error}") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise DatabaseError(f"cannot copy the database to {target}: {why}") from error


def _is_known(revision: str) -> bool:
    scripts = ScriptDirectory.from_config(alembic_config())
    return revision in {script.revision for script in scripts.walk_revisions()}


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


@contextmanager
def _advisory_lock(engine: Engine) -> Iterator[None]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        yield  # closing the connection unlocks
