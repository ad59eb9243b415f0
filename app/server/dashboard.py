"""The dashboard's server: Streamlit's application behind the gate, in this process."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from app.server.address import Address
from engine.errors import UserError
from tasks.settings import open_database, settings

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "app" / "main.py"
CONFIGURED = ROOT if (ROOT / ".streamlit").is_dir() else MAIN.parent
"""Where `.streamlit` is: beside the packages, or in a wheel inside this one."""
_LAST_ANSWERS = 3
"""Seconds for connections to end when the server is stopped."""


def dashboard_address(port: int) -> Address:
    """Return where the settings have the dashboard listen.

    Raises:
        UserError: There is no such address, or a public one was asked for without consent.
    """
    address = Address.of(settings().dashboard_address, port)
    if not address.is_loopback and not settings().dashboard_public:
        raise UserError(
            f"CAAT_DASHBOARD_ADDRESS: {address.text} is not loopback, and the dashboard has no "
            "login: whoever reaches the port may start and stop runs. Put a proxy that asks for "
            "a password before it, then set CAAT_DASHBOARD_PUBLIC=true"
        )
    return address


def public_path() -> str:
    """Return the path below which the dashboard is: / unless ``CAAT_PUBLIC_URL`` has another."""
    return urlsplit(settings().public_url).path or "/"


def where_to_open(address: Address) -> str:
    """Say where a browser finds the dashboard."""
    here, *elsewhere = address.to_open(public_path())
    told = [settings().public_url, f"on this machine {here}"] if settings().public_url else [here]
    if elsewhere:
        told.append(f"from other machines {' or '.join(elsewhere)}")
    return ", ".join(told)


def serve_dashboard(port: int, *, announce: bool = True, until: int | None = None) -> None:
    """Serve the dashboard in this process; a page loads what it draws with at its first visit.

    Args:
        port: Where it listens.
        announce: Whether it says so.
        until: A file from which a byte comes once it may listen: whoever writes it has looked at
            port and database. Without the byte this process ends, and says nothing.

    Raises:
        UserError: The port is taken, or a public address was asked for without consent.
        DatabaseError: The database did not answer.
    """
    address = dashboard_address(port)
    if until is None:
        address.refuse_if_taken()
        open_database()
    told = f"CAAT Studio is at {where_to_open(address)} (Ctrl-C stops it)" if announce else ""
    serve(MAIN, address, on_start=lambda: typer.echo(told) if told else None, until=until)


def serve(
    script: Path, address: Address, *, on_start: Callable[[], object], until: int | None = None
) -> None:
    """Serve a Streamlit script until Ctrl-C or SIGTERM, which end this process with code 0.

    Args:
        script: What draws a page.
        address: Where to listen.
        on_start: Called when it listens.
        until: As for `serve_dashboard`.

    Raises:
        UserError: The port is taken.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again when it has ended
        signal.signal(number, lambda *_: sys.exit(0))
    os.chdir(CONFIGURED)  # where .streamlit/config.toml is
    # Imported here: it would take half a second from the start of every command.
    import streamlit
    import uvicorn
    from streamlit.web import bootstrap

    from app.server.gate import Gate, Names

    application = streamlit.App(script)
    # As App.run does it; App.run itself would bind, and ask the internet for our address.
    bootstrap.load_config_options(_options(address))
    index = Path(streamlit.__file__).parent / "static" / "index.html"
    gate = Gate(application, Names(settings().public_url, address.names), index)

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            on_start()

    limit = int(streamlit.get_option("server.maxMessageSize")) * 10**6
    config = uvicorn.Config(
        gate,
        ws="websockets-sansio",
        ws_max_size=limit,
        ws_ping_interval=30,
        ws_ping_timeout=30,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_LAST_ANSWERS,
    )
    if until is not None and not os.read(until, 1):
        sys.exit(1)
    Server(config).run(sockets=address.listen())


def _options(address: Address) -> dict[str, Any]:
    """Return what no configuration file may change."""
    return {
        "server.address": address.text,
        "server.port": address.port,
        "server.baseUrlPath": public_path().strip("/"),
        "server.headless": True,
        "server.maxUploadSize": settings().upload_limit_mb,
        "server.allowedHosts": [],  # the gate has judged
        "server.enableXsrfProtection": True,
        "server.enableStaticServing": False,
        "server.fileWatcherType": "none",
        "client.allowedOrigins": [],
        "runner.magicEnabled": False,  # a page shows what it is told to, and no docstring
        "browser.gatherUsageStats": False,
        "global.developmentMode": False,
    }
