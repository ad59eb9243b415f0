"""Commands that show what goes on: ``caat metrics`` and ``caat top``."""

import signal
import sys
import threading
from typing import Annotated

import typer

from app.cli.options import AsJson
from app.cli.terminal import say, say_json

METRICS_PORT = 9100


def metrics(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Or CAAT_METRICS_PORT; else 9100")
    ] = None,
    address: Annotated[str, typer.Option(help="Where it listens")] = "127.0.0.1",
) -> None:
    """Answer Prometheus until stopped: queues, runs, workers, devices."""
    from app.server.metrics import serve_metrics
    from tasks.settings import settings

    chosen = port or settings().metrics_port or METRICS_PORT
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    end = serve_metrics(address, chosen)
    host = f"[{address}]" if ":" in address else address
    say(f"caat: metrics are at http://{host}:{chosen}/metrics (Ctrl-C stops it)", err=True)
    asked.wait()
    end()


def top(
    once: Annotated[bool, typer.Option("--once", help="Print it once")] = False,
    as_json: AsJson = False,
    every: Annotated[
        float, typer.Option(min=0.5, max=3600, help="Seconds from one look to the next")
    ] = 2.0,
) -> None:
    """Show queues, workers, runs in work and what waits, until Ctrl-C; through a pipe, once."""
    from app.cli import top as view

    if as_json:
        return say_json(view.as_json(view.now()))
    if once or not sys.stdout.isatty():
        return view.print_once()
    return view.follow(every)
