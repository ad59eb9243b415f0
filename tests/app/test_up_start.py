"""In which order `caat up` starts things, how long it leaves the machine to one, what it says."""

import contextlib
import signal
from types import SimpleNamespace

import pytest
import typer

from app.cli import up as everything
from app.server.address import Address
from db.errors import DatabaseError
from db.session import Database
from engine.errors import UserError
from tasks.settings import open_database, settings
from tests.app.browser import free_port

PORT = free_port()


class Machine:
    """A machine on which only the clock moves.

    Attributes:
        answers_at: When the dashboard begins to answer.
        ends: When the dashboard ends, and with which code.
        now: The time; Ctrl-C comes at 100.
        taken: A port that another program has.
        began: What was done until the dashboard was started.
        started: What was started, and when.
        stopped: What was stopped.
    """

    def __init__(self) -> None:
        self.answers_at = float("inf")
        self.ends: tuple[float, int] = (float("inf"), 0)
        self.now = 0.0
        self.taken = 0
        self.began: list[str] = []
        self.started: list[tuple[str, float]] = []
        self.stopped: list[str] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > 100:
            raise KeyboardInterrupt

    def refuse_if_taken(self, address: Address) -> None:
        self.began.append("port")
        if address.port == self.taken:
            raise UserError("taken")

    def answers(self, address: Address, path: str) -> bool:
        return self.now >= self.answers_at


class Child:
    """A child of `caat up` on such a machine."""

    def __init__(self, machine: Machine, title: str) -> None:
        self.machine, self.title = machine, title
        self.process = SimpleNamespace(poll=lambda: machine.ends[1] if self.is_gone else None)

    @property
    def is_gone(self) -> bool:
        return self.title == "dashboard" and self.machine.now >= self.machine.ends[0]

    def prepare(self) -> None:
        self.machine.began.append(f"prepare {self.title}")

    def start(self) -> None:
        self.machine.began.append(f"start {self.title}")
        self.machine.started.append((self.title, round(self.machine.now, 3)))

    def keep_alive(self) -> None:
        pass

    def stop(self) -> None:
        self.machine.stopped.append(self.title)


@pytest.fixture
def machine(studio, monkeypatch) -> Machine:
    found = Machine()
    monkeypatch.setattr(everything, "time", found)
    monkeypatch.setattr(everything, "Child", lambda title, *_, **__: Child(found, title))
    monkeypatch.setattr(Address, "refuse_if_taken", lambda address: found.refuse_if_taken(address))
    monkeypatch.setattr(Address, "answers", lambda *given: found.answers(*given))
    monkeypatch.setattr("tasks.queue.broker.is_up", lambda url: True)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return found


def up() -> None:
    everything.up(port=PORT, num_workers=2, demo=False, as_caat=lambda *words: lambda: None)


def test_the_dashboard_loads_while_the_database_is_looked_at_and_goes_on_after_that(
    machine, monkeypatch
):
    def open_it() -> Database:
        machine.began.append("database")
        return open_database()

    monkeypatch.setattr(everything, "open_database", open_it)
    up()
    wanted = ["port", "prepare dashboard", "database", "start dashboard"]
    assert machine.began[:4] == wanted
    assert not [step for step in machine.began[4:] if "worker" not in step]


@pytest.mark.parametrize("error", [DatabaseError("away"), KeyboardInterrupt()])
def test_a_dashboard_whose_database_cannot_be_used_is_stopped_and_nothing_else_starts(
    machine, monkeypatch, error
):
    def refuse() -> Database:
        raise error

    monkeypatch.setattr(everything, "open_database", refuse)
    with contextlib.suppress(DatabaseError):
        up()
    assert machine.started == []
    assert machine.stopped == ["dashboard"]


@pytest.mark.parametrize(("answers_at", "workers_at"), [(0.7, 0.7), (5, 2), (float("inf"), 2)])
def test_the_machine_is_left_to_the_dashboard_until_it_answers_but_no_longer_than_two_seconds(
    machine, answers_at, workers_at
):
    machine.answers_at = answers_at
    up()
    (first, at), *workers = machine.started
    assert (first, at) == ("dashboard", 0)
    assert [title for title, _ in workers] == ["worker"] * 2
    assert [at for _, at in workers] == pytest.approx([workers_at] * 2, abs=0.1)
    assert machine.stopped == ["dashboard", "worker", "worker"]


@pytest.mark.parametrize(("answers_at", "is_late"), [(0.7, False), (50, False), (70, True)])
def test_it_says_where_the_dashboard_is_and_before_that_that_a_minute_has_passed(
    machine, capsys, answers_at, is_late
):
    machine.answers_at = answers_at
    up()
    said = capsys.readouterr()
    assert said.out == f"CAAT Studio is at http://localhost:{PORT} (Ctrl-C stops it)\n"
    assert ("has not answered for 60 s" in said.err) is is_late


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-9, "killed by SIGKILL"),
        (-11, "killed by SIGSEGV"),
        (-15, "killed by SIGTERM"),
    ],
)
@pytest.mark.parametrize("after", [0.3, 30])
def test_a_dashboard_that_ends_before_it_answers_ends_everything_and_it_is_said_how(
    machine, capsys, code, how, after
):
    machine.ends = (after, code)
    with pytest.raises(typer.Exit) as end:
        up()
    assert end.value.exit_code == 1
    assert capsys.readouterr().err == (f"caat: the dashboard ended before it answered ({how})\n")
    assert machine.now == pytest.approx(after, abs=0.2)
    assert machine.stopped == ["dashboard", "worker", "worker"]


@pytest.mark.parametrize("code", [1, 2])
def test_a_dashboard_that_has_said_itself_why_it_ends_is_not_spoken_over(machine, capsys, code):
    machine.ends = (0.3, code)
    with pytest.raises(typer.Exit) as end:
        up()
    assert end.value.exit_code == code
    assert capsys.readouterr().err == ""


def test_where_the_settings_say_a_port_metrics_are_started_and_else_not(machine, monkeypatch):
    machine.answers_at = 0.7
    up()
    assert "metrics" not in machine.stopped
    monkeypatch.setattr(settings(), "metrics_port", free_port())
    machine.now, machine.stopped = 0.0, []
    up()
    assert machine.stopped == ["dashboard", "worker", "worker", "metrics"]


def test_a_port_for_metrics_that_is_taken_is_refused_before_anything_starts(machine, monkeypatch):
    for port in (PORT, 9_100):
        machine.taken = 9_100
        monkeypatch.setattr(settings(), "metrics_port", port)
        with pytest.raises(UserError) as refused:
            up()
        assert str(refused.value) == f"CAAT_METRICS_PORT: {port} is taken; choose another"
        assert machine.started == []
