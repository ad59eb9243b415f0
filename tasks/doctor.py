"""Is this installation healthy? One finding per part, in words."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy

from db import queries
from db.engines import journal_mode
from db.errors import DatabaseError
from db.settings import display_url
from engine.dataset import datasets
from engine.errors import UserError
from engine.runtime import device_name, pick_device, versions
from tasks import broker
from tasks.settings import open_database, settings

LOW_DISK = 2 * 10**9
SILENT_AFTER = 4
"""A worker that missed so many of its own reports counts as gone."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is well, and what was seen or what to do."""

    part: str
    ok: bool
    text: str


def examine() -> list[Finding]:
    """Look at every part; nothing is changed but a database that has no tables yet."""
    return [finding for look in _LOOKS for finding in look()]


def _versions() -> Iterator[Finding]:
    yield Finding("versions", True, ", ".join(f"{name} {v}" for name, v in versions().items()))


def _settings() -> Iterator[Finding]:
    shown = {"database_url": display_url(settings().database_url)}
    shown["broker_url"] = display_broker(settings().broker_url)
    values = {**settings().model_dump(mode="json"), **shown}
    yield Finding("settings", True, ", ".join(f"{name}={value}" for name, value in values.items()))


def _database() -> Iterator[Finding]:
    try:
        database = open_database()
        problems = database.integrity_problems()
    except DatabaseError as error:
        yield Finding("database", False, str(error))
        return
    mode = f", journal {journal_mode()}" if database.is_sqlite else ""
    text = "; ".join(problems) or f"{database.display_url}, revision {database.revision()}{mode}"
    yield Finding("database", not problems, text)


def _broker() -> Iterator[Finding]:
    url = settings().broker_url
    if broker.is_up(url):
        yield Finding("broker", True, f"answers at {display_broker(url)}")
        return
    cure = (
        "`caat up` starts it"
        if settings().uses_embedded_broker
        else "start it, or mend CAAT_BROKER_URL"
    )
    yield Finding("broker", False, f"no answer at {display_broker(url)}: {cure}; runs wait safely")


def _workers() -> Iterator[Finding]:
    try:
        with open_database().read() as session:
            known = queries.workers(session)
            waiting = queries.queue_length(session)
    except DatabaseError:
        return  # said above
    limit = SILENT_AFTER * settings().sweep_seconds
    alive = [w for w in known if w.state != "stopped" and w.seconds_since_seen < limit]
    names = ", ".join(f"{w.id} ({w.device}, {w.state})" for w in alive)
    text = names or "none is running: start one with `caat worker`"
    yield Finding("workers", bool(alive), f"{text}; {waiting} runs queued")


def _device() -> Iterator[Finding]:
    try:
        device = pick_device(settings().device)
    except UserError as error:
        yield Finding("device", False, str(error))
        return
    yield Finding("device", True, f"{device} ({device_name(device)})")


def _data() -> Iterator[Finding]:
    for name, source in datasets().items():
        here = source.is_here(settings().dataset_dir)
        text = "ready" if here else "not here; it is downloaded when a run first needs it"
        yield Finding(f"data {name}", True, text)


def _disk() -> Iterator[Finding]:
    folder = settings().data_dir
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    yield Finding("disk", free > LOW_DISK, f"{free / 1e9:.1f} GB free in {folder}")


def display_broker(url: str) -> str:
    """Return a broker's URL without its password."""
    return sqlalchemy.make_url(url).render_as_string(hide_password=True)


_LOOKS: list[Callable[[], Iterator[Finding]]] = [
    _versions,
    _settings,
    _device,
    _disk,
    _database,
    _broker,
    _workers,
    _data,
]
