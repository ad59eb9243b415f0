"""A whole installation for one test."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.cli.main import main
from db.session import Database
from tasks.settings import _database, settings
from tests.real.studio import Studio
from tests.tasks.environment import forget


@pytest.fixture
def sqlite_studio(data_dir: Path, sqlite_database: Database) -> Iterator[Studio]:
    """An installation on SQLite."""
    yield from _open(data_dir, sqlite_database)


@pytest.fixture
def postgresql_studio(data_dir: Path, postgresql_database: Database) -> Iterator[Studio]:
    """An installation on PostgreSQL."""
    yield from _open(data_dir, postgresql_database)


@pytest.fixture(params=["sqlite", "postgresql"])
def studio(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """An installation that this process belongs to; its supervisor runs here."""
    studio: Studio = request.getfixturevalue(f"{request.param}_studio")
    for name, value in studio.environment.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield studio
    _database(settings().database_url).dispose()
    _database.cache_clear()
    settings.cache_clear()


def _open(data_dir: Path, database: Database) -> Iterator[Studio]:
    studio = Studio(data_dir, database)
    try:
        yield studio
    finally:
        studio.close()


@pytest.fixture
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let no setting be in force but an empty data directory."""
    for name in [name for name in os.environ if name.startswith("CAAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CAAT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    forget()
    yield
    forget()


@pytest.fixture
def told_here(
    sqlite_studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Run a command in this process; give its exit code and what it wrote on stdout and stderr."""
    for name, value in sqlite_studio.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(sqlite_studio.folder)
    settings.cache_clear()

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["caat", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    yield run
    settings.cache_clear()


@pytest.fixture
def caat_here(told_here: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str]]:
    """Run a command in this process; give its exit code and what it wrote on stderr."""

    def run(*words: str) -> tuple[int, str]:
        code, _, err = told_here(*words)
        return code, err

    return run
