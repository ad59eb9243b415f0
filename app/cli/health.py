"""``caat health``: what a container's health check and a cluster's probe ask, by one exit code."""

from enum import StrEnum
from typing import Annotated

import typer

from app.cli.terminal import say
from db.errors import DatabaseError


class Part(StrEnum):
    """What can be asked for its health, on the machine or in the container that it runs in."""

    DASHBOARD = "dashboard"
    WORKER = "worker"


def health(
    part: Annotated[Part, typer.Argument(show_default=False)],
    port: Annotated[int, typer.Option(min=1, max=65535, help="The dashboard's")] = 8501,
) -> None:
    """Tell whether this machine's dashboard answers, or a worker of it has reported: else code 1.

    A database that is away is not the worker's illness: it waits for it, and is called healthy.
    """
    told = _of_dashboard(port) if part is Part.DASHBOARD else _of_workers()
    if told is not None:
        say(f"caat: {told}", err=True)
        raise typer.Exit(1)


def _of_dashboard(port: int) -> str | None:
    from app.server.address import Address
    from app.server.dashboard import public_path
    from tasks.settings import settings

    address = Address.of(settings().dashboard_address, port)
    path = public_path()
    return None if address.answers(path) else f"no dashboard answers at {address.to_open(path)[0]}"


def _of_workers() -> str | None:
    from db.reads import queries
    from db.reads.rows import LIVE_SECONDS
    from tasks.processes.host import host_name
    from tasks.settings import open_database

    try:
        with open_database(newer=True).read() as session:
            present = queries.workers(session, there=True, within=LIVE_SECONDS)
    except DatabaseError as error:
        say(f"caat: not known, the database says nothing: {error}", err=True)
        return None
    if any(worker.host == host_name() for worker in present):
        return None
    return f"no worker of {host_name()} has reported in the last {LIVE_SECONDS:.0f} s"
