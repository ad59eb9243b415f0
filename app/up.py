"""Everything on one machine: broker, workers, dashboard, and a first thing to look at."""

import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import typer

from app.children import Broker, Child
from app.presets import PRESETS
from db import queries
from db.session import Database
from engine.errors import UserError
from engine.scenario import Scenario
from tasks import broker
from tasks.settings import open_database, prepare_data_dir, settings
from tasks.submit import submit

ROOT = Path(__file__).parent.parent
DEMO_METHODS = ("caat", "trades", "pgd-at")
DASHBOARD_PATIENCE = 60.0


def up(*, port: int, num_workers: int, demo: bool) -> None:
    """Start everything, and stay until Ctrl-C or SIGTERM.

    Raises:
        UserError: The port is taken.
        DatabaseError: The database did not answer.
    """
    _refuse_taken_port(port)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell may have told us to ignore the first
        signal.signal(number, signal.default_int_handler)
    database = open_database()
    children: list[Child] = []
    try:
        if settings().uses_embedded_broker and not broker.is_up(settings().broker_url):
            children.append(_started(Broker()))
        caat = [sys.executable, "-m", "app.cli"]
        children += [
            _started(Child("worker", lambda: [*caat, "worker"])) for _ in range(num_workers)
        ]
        children.append(
            _started(Child("dashboard", lambda: [*caat, "dashboard", "--port", str(port)]))
        )
        if demo:
            _queue_demonstration(database)
        _wait(lambda: _answers(port), DASHBOARD_PATIENCE, "dashboard")
        typer.echo(f"CAAT Studio is at http://localhost:{port} (Ctrl-C stops it)")
        while True:
            for child in children:
                child.keep_alive()
            time.sleep(0.5)
    except KeyboardInterrupt:
        typer.echo("Stopping; runs in work are paused and go on next time", err=True)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for child in reversed(children):
            child.stop()


def _started(child: Child) -> Child:
    child.start()
    return child


def _queue_demonstration(database: Database) -> None:
    """Queue one scenario with three methods, if the database has no run."""
    with database.read() as session:
        if queries.run_count(session):
            return
    for method in DEMO_METHODS:
        changes = {**PRESETS["demo"].changes, "method": {"name": method}}
        submit(Scenario.model_validate(changes), actor="demonstration", study="Demonstration")


def serve_dashboard(port: int) -> None:
    """Serve the dashboard in this process, which has loaded the engine: the first page is quick.

    Raises:
        UserError: The port is taken, or a public address was asked for without consent.
        DatabaseError: The database did not answer.
    """
    address = settings().dashboard_address
    if not _is_loopback(address) and not settings().dashboard_public:
        raise UserError(
            f"CAAT_DASHBOARD_ADDRESS: {address} is not loopback, and the dashboard has no login: "
            "whoever reaches the port may start and stop runs. Put a proxy that asks for a "
            "password before it, then set CAAT_DASHBOARD_PUBLIC=true"
        )
    _refuse_taken_port(port)
    open_database()
    os.chdir(ROOT)  # where .streamlit/config.toml is
    # Imported here: it would take half a second from the start of every command.
    from streamlit.web.cli import main as streamlit

    options = [f"--server.address={address}", f"--server.port={port}", "--server.headless=true"]
    streamlit(["run", str(ROOT / "app" / "main.py"), *options], standalone_mode=False)


def database() -> Database:
    """Return the database as it is, whatever its revision."""
    prepare_data_dir()
    return Database(settings().database_url)


def _is_loopback(address: str) -> bool:
    return address in ("localhost", "127.0.0.1", "::1")


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(f"--port: {port} is taken; choose another") from None


def _wait(is_there: Callable[[], bool], patience: float, what: str) -> None:
    deadline = time.monotonic() + patience
    while not is_there():
        if time.monotonic() > deadline:
            raise UserError(f"the {what} did not answer within {patience:.0f} s")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, OSError):
        return False
