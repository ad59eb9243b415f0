"""Eight processes migrate one database at the same instant.

An empty one, and in turn one of every released schema with the rows that a run left in it.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import Connection, DateTime, MetaData, Table, insert, select, text

from db import migrate
from db.connection import migration_engine, parse_url, sqlite_driver
from db.session import Database
from db.settings import sqlite_url
from tests.faults.apart import apart, ended, forked
from tests.faults.frame import Figure, Plan

TITLE = "Migrating at once"
PROCESSES = 8
RELEASED = sorted((Path(__file__).parents[2] / "tests" / "db" / "released").glob("*.sql"))
"""Dumps of SQLite databases with one finished run, one of every schema before the newest."""

TODAYS_NAMES = {"run": {"rung_at": "sent_at"}}
"""Of columns that a migration renamed, by table."""

Rows = dict[str, list[dict[str, Any]]]
"""By table."""


def measure(plan: Plan) -> list[Figure]:
    """Migrate an empty database and the old ones, in turn."""
    return apart(plan, _measure)


def _measure(plan: Plan) -> list[Figure]:
    migrate.head_revision()  # loads Alembic before the first fork
    starts = [None, *RELEASED]
    rounds, found = plan.count(100, least=len(starts)), []
    for number in range(rounds):
        start = starts[number % len(starts)]
        with _database(plan, number, start) as (url, before):
            told = _migrated_at_once(url)
            told += _lost(url, before)
        name = start.stem if start else "empty"
        found += [f"round {number}, {name}: {what}" for what in told]
    kinds = ", ".join(["an empty one", *(path.stem for path in RELEASED)])
    said = "; ".join(found[:5]) or "0 errors, all at the newest revision, every old row unchanged"
    return [
        Figure(
            f"{PROCESSES} processes migrate one database at once",
            "0 errors, 0 rows lost",
            f"{rounds} rounds ({kinds}): {said}",
            ok=not found,
        )
    ]


def _migrated_at_once(url: str) -> list[str]:
    """Let all processes migrate at one signal, and return what went wrong."""
    barrier = get_context("fork").Barrier(PROCESSES)

    def upgrade() -> int:
        database = Database(url)
        barrier.wait(60)
        database.upgrade()
        database.check_schema()
        return 0

    codes = [ended(child) for child in [forked(upgrade) for _ in range(PROCESSES)]]
    return [f"exit codes {codes}"] if any(codes) else []


@contextmanager
def _database(plan: Plan, number: int, dump: Path | None) -> Iterator[tuple[str, Rows]]:
    """Give a database without tables, or as an old release left it, and its rows."""
    file = plan.folder / f"old-{number}.db"
    url, rows = sqlite_url(file), Rows()
    if dump is not None:
        with closing(sqlite_driver.connect(file)) as connection:
            connection.executescript(dump.read_text())
        rows = _rows(url)
    if plan.kind == "postgresql":
        url = plan.url
        _fill_postgresql(url, dump.stem if dump else None, rows)
        rows = _rows(url) if dump else rows
    yield url, rows
    for left in plan.folder.glob(f"old-{number}.db*"):
        left.unlink()


def _fill_postgresql(url: str, revision: str | None, rows: Rows) -> None:
    """Empty a database, and put an old schema and the rows of a SQLite file into it."""
    with _connected(url) as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
        if revision is not None:
            command.upgrade(migrate.alembic_config(connection), revision)
            for name, table in _reflected(connection).items():
                if rows[name]:
                    connection.execute(insert(table), [_as_times(table, row) for row in rows[name]])
        connection.commit()


def _as_times(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with its times, which SQLite has as text."""
    return {
        name: datetime.fromisoformat(value).replace(tzinfo=UTC)
        if value and isinstance(table.c[name].type, DateTime)
        else value
        for name, value in row.items()
    }


def _lost(url: str, before: Rows) -> list[str]:
    """Return which tables lack an old row, or have it changed."""
    after = _rows(url)
    old = {name: [_with_todays_names(name, row) for row in rows] for name, rows in before.items()}
    return [
        f"rows of {name} were lost"
        for name, rows in old.items()
        if _picked(rows, rows) != _picked(after.get(name, []), rows)
    ]


def _with_todays_names(table: str, row: dict[str, Any]) -> dict[str, Any]:
    names = TODAYS_NAMES.get(table, {})
    return {names.get(name, name): value for name, value in row.items()}


def _picked(rows: list[dict[str, Any]], like: list[dict[str, Any]]) -> list[str]:
    """Return rows, sorted, in the columns that others have."""
    return sorted(str({name: row.get(name) for name in like[0]}) for row in rows) if like else []


def _rows(url: str) -> Rows:
    """Return every row of every table."""
    with _connected(url) as connection:
        return {
            name: [dict(row._mapping) for row in connection.execute(select(table))]
            for name, table in _reflected(connection).items()
        }


def _reflected(connection: Connection) -> dict[str, Table]:
    """Return the tables as they are, a table after those that it refers to."""
    known = MetaData()
    known.reflect(connection)
    return {table.name: table for table in known.sorted_tables if table.name != "alembic_version"}


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = migration_engine(parse_url(url))
    with engine.connect() as connection:
        yield connection
    engine.dispose()
