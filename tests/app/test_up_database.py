"""`caat up` before its database has answered: the dashboard is loaded, waits, and is no trace."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from db.session import Database
from db.settings import sqlite_url
from tests.app.browser import free_port, wait_for

STOPPING = "Stopping; runs in work are paused and go on next time"


def caat(data_dir: Path, *words: str, url: str = "", stdin: int | None = None) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", *words],
        env={**os.environ, "CAAT_DATA_DIR": str(data_dir), "CAAT_DATABASE_URL": url},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def up(data_dir: Path, port: int, url: str = "") -> subprocess.Popen:
    return caat(data_dir, "up", "--no-demo", "--port", str(port), url=url)


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a PostgreSQL that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql://caat@127.0.0.1:{listener.getsockname()[1]}/caat"


def is_listening(port: int) -> bool:
    with closing(socket.socket()) as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


def its_dashboard(process: subprocess.Popen) -> psutil.Process:
    parent = psutil.Process(process.pid)
    wait_for(lambda: bool(parent.children()), 60)
    return parent.children()[0]


def assert_gone(child: psutil.Process) -> None:
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running()


def test_nothing_listens_until_the_database_has_answered_and_its_silence_is_one_line(
    silent, data_dir
):
    port = free_port()
    process = up(data_dir, port, silent)
    dashboard = its_dashboard(process)
    while process.poll() is None:
        assert not is_listening(port)
    told = process.communicate()[0]
    assert process.returncode == 1
    assert told.startswith("caat: cannot use the database")
    assert told.count("\n") == 1
    assert not dashboard.is_running()


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [(signal.SIGKILL, -9, ""), (signal.SIGINT, 0, STOPPING), (signal.SIGTERM, 0, STOPPING)],
)
def test_whoever_ends_it_while_the_database_is_silent_leaves_nothing(
    number, code, told, silent, data_dir
):
    process = up(data_dir, free_port(), silent)
    dashboard = its_dashboard(process)
    process.send_signal(number)
    assert process.communicate(timeout=60)[0].strip() == told
    assert process.returncode == code
    assert_gone(dashboard)


@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        ("no database", 1, "caat: the database"),
        ("newer", 1, "caat: the database"),
        ("no folder", 2, "caat: CAAT_DATA_DIR: "),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line_with_its_exit_code(kind, code, told, data_dir):
    file = data_dir / "caat.db"
    if kind == "no database":
        file.write_text("no database" * 1000)
    elif kind == "newer":
        database = Database(sqlite_url(file))
        database.upgrade()
        with database.write() as session:
            session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = 'z'")
        database.dispose()
    process = up(Path("/proc/caat") if kind == "no folder" else data_dir, free_port())
    said = process.communicate(timeout=60)[0]
    assert (process.returncode, said.count("\n")) == (code, 1), said
    assert said.startswith(told)


def test_a_dashboard_that_is_not_let_go_on_ends_without_a_word(data_dir):
    words = ("dashboard", "--port", str(free_port()), "--until", "0")
    process = caat(data_dir, *words, stdin=subprocess.DEVNULL)
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 1
