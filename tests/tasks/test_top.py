"""`caat top`: what goes on, on a terminal, in a pipe, and as JSON."""

import errno
import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import update

from app.cli import top
from db.models import Run
from db.session import Database
from db.workers import WorkerReport, upsert_worker
from tests.real import servers
from tests.real.studio import CAAT, Studio

HOSTILE = "[red]not red[/red] \u202e"
WORKER = {"host": "[bold]lab", "pid": 7, "device": "cuda:0", "device_name": "x\x1b[31m\n"}


def report(studio: Studio, **fields: object) -> None:
    known = {"id": "worker-1", "version": "1", "queues": ",default,"} | WORKER
    with studio.database.write() as session:
        upsert_worker(session, WorkerReport(**(known | fields)))


def printed(studio: Studio) -> str:
    console = Console(width=top.WIDE, force_terminal=False)
    with console.capture() as said:
        console.print(top.drawn(top.now()))
    return said.get()


def line_of(text: str, word: str) -> str:
    (line,) = (line for line in text.splitlines() if word in line)
    return " ".join(line.split())


def test_what_waits_stands_with_its_reason(studio):
    run_id = studio.queue('name="Waits"')
    told = printed(studio)
    assert line_of(told, "Waits").startswith(f"{run_id[:8]} Waits default 5 ")
    assert line_of(told, "Waits").endswith("Waits for a worker: none is running")
    assert "No worker is there: start one with `caat worker`" in told
    report(studio, state="busy")
    assert line_of(printed(studio), "Waits").endswith("Waits for a free worker")


def test_a_long_queue_ends_with_how_many_more_there_are(studio):
    for _ in range(22):
        studio.queue()
    assert "and 2 more" in printed(studio)


def test_a_worker_stands_with_its_device_and_what_it_does(studio):
    run_id = studio.queue('name="In work"')
    report(studio, memory_total=80 * 2**30, memory_used=3 * 2**30, utilisation=0.42, run_id=run_id)
    line = line_of(printed(studio), "3.0 of 80.0 GiB")
    assert "cuda:0" in line
    assert "42 %" in line
    assert run_id[:8] in line


def test_nothing_from_outside_is_obeyed_by_the_terminal_or_read_as_markup(studio):
    studio.queue()
    with studio.database.write() as session:
        session.execute(update(Run).values(name=HOSTILE, queue="[link=x]q"))
    report(studio)
    told = printed(studio)
    assert "[red]not red[/red]" in told
    assert "[link=x]q" in told
    assert "[bold]lab" in told
    assert "\x1b" not in told
    assert "\u202e" not in told


def test_json_is_one_object_with_everything(sqlite_studio):
    studio = sqlite_studio
    run_id = studio.queue('name="Waits"')
    report(studio, utilisation=0.5)
    done = studio.caat("top", "--json")
    told = json.loads(done.stdout)
    assert told.keys() == {"queues", "workers", "at_work", "waiting", "attempts_lost"}
    queue = told["queues"][0]
    assert (queue["name"], queue["waiting"], queue["workers"]) == ("default", 1, 1)
    assert queue["oldest_seconds"] >= 0
    (waiting,) = told["waiting"]
    assert (waiting["run_id"], waiting["why"]) == (run_id, "A worker takes it in a moment")
    (worker,) = told["workers"]
    assert (worker["ready"], worker["utilisation"], worker["queues"]) == (True, 0.5, ["default"])


def test_through_a_pipe_it_is_printed_once_and_a_database_that_is_away_is_one_line(sqlite_studio):
    studio = sqlite_studio
    studio.queue('name="Waits"')
    done = studio.caat("top")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Waits" in done.stdout
    assert "\x1b" not in done.stdout
    studio.environment["CAAT_DATABASE_URL"] = "postgresql://caat@127.0.0.1:1/caat"
    done = studio.caat("top")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


class Terminal:
    """A terminal with `caat top` on it."""

    def __init__(self, studio: Studio, *words: str) -> None:
        self.reads, other = pty.openpty()
        self.process = subprocess.Popen(
            [*CAAT, "top", "--every", "0.5", *words],
            env=studio.environment | {"TERM": "xterm", "COLUMNS": "200", "LINES": "40"},
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
        )
        studio.processes.append(self.process)
        os.close(other)
        self.said = ""

    def read_until(self, is_there: Callable[[str], bool]) -> None:
        while not is_there(self.said):
            assert self.read(), self.said

    def read(self) -> bool:
        try:
            more = os.read(self.reads, 65_536)
        except OSError as error:
            if error.errno != errno.EIO:  # which says that nobody is at the other end any more
                raise
            more = b""
        self.said += more.decode(errors="replace")
        return bool(more)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_on_a_terminal_it_follows_what_goes_on_until_it_is_told_to_end(sqlite_studio, how):
    terminal = Terminal(sqlite_studio)
    terminal.read_until(lambda said: "Queues" in said)
    sqlite_studio.queue('name="Came later"')
    terminal.read_until(lambda said: "Came later" in said)
    terminal.process.send_signal(how)
    while terminal.read():
        pass
    assert terminal.process.wait(60) == 0
    assert "\x1b[?1049l" in terminal.said  # the terminal shows what it showed before
    assert "Traceback" not in terminal.said


def test_while_the_database_is_away_what_was_read_last_stays(data_dir: Path):
    with servers.own_postgresql() as server, servers.new_database(server.url) as url:
        database = Database(url.render_as_string(hide_password=False))
        database.upgrade()
        studio = Studio(data_dir, database)
        studio.queue('name="Waits"')
        terminal = Terminal(studio)
        terminal.read_until(lambda said: "Waits" in said)
        server.stop()
        terminal.read_until(lambda said: "this is what was read last" in said)
        server.start()
        terminal.said = ""
        terminal.read_until(lambda said: said.count("Queues") > 3)
        assert "read last" not in terminal.said.rpartition("Queues")[0].rpartition("Queues")[2]
        studio.close()
        database.dispose()
