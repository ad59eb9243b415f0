"""A data directory, and both databases, for every test that asks."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from sqlalchemy.engine import URL

from db.session import Database
from db.settings import sqlite_url
from tests import short_run
from tests.real import servers

pytest.register_assert_rewrite("caat_studio_contracts")


def pytest_addoption(parser: pytest.Parser) -> None:
    short_run.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    short_run.configure(config)


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Let Hypothesis draw numbers that a run in this process has told the processor to drop."""
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back the ``__main__`` that Streamlit's AppTest leaves: child processes would run it."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


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
    """The URL of a real server."""
    with servers.postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: URL) -> Iterator[str]:
    """The name of a database with empty tables, to be copied by the server."""
    with servers.new_database(postgresql_server) as url:
        Database(url.render_as_string(hide_password=False)).upgrade()
        yield str(url.database)


@pytest.fixture
def postgresql_database(postgresql_server: URL, migrated_postgresql: str) -> Iterator[Database]:
    """A PostgreSQL database with empty tables."""
    with servers.new_database(postgresql_server, migrated_postgresql) as url:
        database = Database(url.render_as_string(hide_password=False))
        yield database
        database.dispose()


@pytest.fixture
def empty_postgresql_url(postgresql_server: URL) -> Iterator[str]:
    """The URL of a PostgreSQL database without tables."""
    with servers.new_database(postgresql_server) as url:
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
