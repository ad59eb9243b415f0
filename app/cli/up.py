"""Everything on one machine: broker, workers, dashboard, and a first thing to look at."""

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import typer

from app.cli.processes import Child, how_it_ended
from app.server.address import Address
from app.server.dashboard import dashboard_address, public_path, where_to_open
from engine.errors import UserError
from tasks.settings import open_database, settings

if TYPE_CHECKING:
    from db.session import Database

DEMO_METHODS = ("caat", "trades", "pgd-at")
DASHBOARD_PATIENCE = 60.0
CAAT = [sys.executable, "-m", "app.cli.main"]


HEAD_START = 2.0
"""Seconds that a machine is left to the dashboard at most, before anything else starts on it."""


def up(
    *,
    port: int,
    num_workers: int,
    demo: bool,
    as_caat: Callable[..., Callable[[], NoReturn]],
    demo_results: bool = False,
) -> None:
    """Start everything, and stay until Ctrl-C or SIGTERM.

    Args:
        port: Where the dashboard listens.
        num_workers: How many are started.
        demo: Whether the demonstration is queued if there is no run.
        demo_results: Whether the studies that come with the program are added first.
        as_caat: Makes of a command's words what runs that command in this process and ends it.

    Raises:
        UserError: The port is taken, or the dashboard may not listen where it shall.
        DatabaseError: The database did not answer.
        typer.Exit: The dashboard ended before it answered, and has said why.
    """
    address = dashboard_address(port)
    address.refuse_if_taken()
    _refuse_taken_metrics_port(port)
    _listen_to_signals()
    dashboard = _dashboard(port, as_caat)
    children = [dashboard]  # in the order in which they are stopped
    try:
        dashboard.prepare()  # first: somebody waits for it, and it takes the longest
        database = open_database()
        database.dispose()  # it is seldom asked from here
        dashboard.start()
        _leave_it_the_machine(dashboard, address)
        workers = [Child("worker", lambda: [*CAAT, "worker"]) for _ in range(num_workers)]
        children += [*workers, *_metrics(), *_brokers()]
        for child in reversed(children[1:]):
            child.start()
        _see_it_answer(dashboard, address, children[1:])
        _add_to_look_at(database, demo=demo, results=demo_results)
        while True:
            _keep_alive(children, pause=0.5)
            if num_workers == 0:
                _end_lost(database)
    except KeyboardInterrupt:
        typer.echo("Stopping; runs in work are paused and go on next time", err=True)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for child in children:
            child.stop()


def _dashboard(port: int, as_caat: Callable[..., Callable[[], NoReturn]]) -> Child:
    words = ["dashboard", "--no-announce", "--port", str(port)]
    return Child(
        "dashboard",
        lambda: [*CAAT, *words],
        at_first=lambda until: as_caat(*words, "--until", str(until))(),
    )


def _listen_to_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell may have told us to ignore the first
        signal.signal(number, signal.default_int_handler)


def _brokers() -> list[Child]:
    """Return the broker to start, if the settings name none and none is there."""
    # Loaded here: the dashboard is on its way then.
    from app.cli.embedded_broker import Broker
    from tasks.queue import broker

    wanted = settings().uses_embedded_broker and not broker.is_up(settings().broker_url)
    return [Broker()] if wanted else []


def _refuse_taken_metrics_port(of_dashboard: int) -> None:
    port = settings().metrics_port
    if port is None:
        return
    try:
        if port == of_dashboard:
            raise UserError("it is the dashboard's")
        Address.of("127.0.0.1", port).refuse_if_taken()
    except UserError:
        raise UserError(f"CAAT_METRICS_PORT: {port} is taken; choose another") from None


def _metrics() -> list[Child]:
    """Return what answers Prometheus, if the settings say where."""
    return [Child("metrics", lambda: [*CAAT, "metrics"])] if settings().metrics_port else []


def _leave_it_the_machine(dashboard: Child, address: Address) -> None:
    until = time.monotonic() + HEAD_START
    while time.monotonic() < until and not dashboard.is_gone:
        if address.answers(public_path()):
            return
        time.sleep(0.05)


def _see_it_answer(dashboard: Child, address: Address, others: list[Child]) -> None:
    """Say where the dashboard is once it answers; a slow start costs nobody else anything."""
    late_at = time.monotonic() + DASHBOARD_PATIENCE
    while not address.answers(public_path()):
        if dashboard.is_gone:
            raise _ended_at_once(dashboard)
        if time.monotonic() > late_at:
            late_at = float("inf")
            typer.echo(
                f"caat: the dashboard has not answered for {DASHBOARD_PATIENCE:.0f} s at "
                f"{address.to_open(public_path())[0]}; it is waited for, and runs are worked on",
                err=True,
            )
        _keep_alive(others, pause=0.1)
    typer.echo(f"CAAT Studio is at {where_to_open(address)} (Ctrl-C stops it)")


def _ended_at_once(dashboard: Child) -> typer.Exit:
    """Return how to end with it; with code 1 or 2 it has said why in a line of its own."""
    code = dashboard.process.poll() if dashboard.process else None
    if code is not None and code not in (1, 2):
        typer.echo(f"caat: the dashboard ended before it answered ({how_it_ended(code)})", err=True)
    return typer.Exit(2 if code == 2 else 1)


def _keep_alive(children: list[Child], *, pause: float) -> None:
    for child in children:
        child.keep_alive()
    time.sleep(pause)


def _end_lost(database: "Database") -> None:
    """Write down which runs have lost their worker, where no worker of ours does."""
    from tasks.processes.database_retry import TRANSIENT_ERRORS
    from tasks.worker import reconcile

    with contextlib.suppress(*TRANSIENT_ERRORS):  # pages say so; it is tried again soon
        reconcile.end_lost(database)


def _add_to_look_at(database: "Database", *, demo: bool, results: bool) -> None:
    if results:
        _add_results(database)
    if demo:
        _queue_demonstration(database)


def _add_results(database: "Database") -> None:
    """Add the runs of the studies that come with the program, unless they are here."""
    from app.studies.preset_files import RESULTS
    from tasks.results.study_archive import import_studies

    done = import_studies(database, RESULTS, actor="demonstration")
    typer.echo(f"Studies to look at: {', '.join(done.studies)}", err=True)


def _queue_demonstration(database: "Database") -> None:
    """Queue one scenario with three methods, if the database has no run."""
    from app.forms.presets import PRESETS
    from db.reads import queries
    from engine.scenario import Scenario
    from tasks.queue.submit import submit

    with database.read() as session:
        if queries.run_count(session):
            return
    for method in DEMO_METHODS:
        changes = {**PRESETS["demo"].changes, "method": {"name": method}}
        submit(Scenario.model_validate(changes), actor="demonstration", study="Demonstration")
