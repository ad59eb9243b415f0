"""Is this installation healthy? One finding per part, in words."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
import sqlalchemy

from db import health, queries
from db.engines import journal_mode
from db.errors import DatabaseError
from db.migrate import head_revision
from db.settings import display_url
from db.workers import too_old
from engine.dataset import datasets
from engine.errors import UserError
from engine.runtime import device_name, pick_device, versions
from tasks import broker, messages
from tasks.settings import open_database, settings

LOW_DISK = 2 * 10**9
_PLACES = {"checkpoints and logs": "runs", "datasets": "datasets", "broker": "broker"}
SILENT_AFTER = 4
"""A worker that missed so many of its own reports counts as gone."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is well, and what was seen or what to do."""

    part: str
    ok: bool
    text: str


@dataclass(frozen=True)
class Setting:
    """One setting in force: its variable, its value without secrets, and what it means."""

    variable: str
    value: str
    is_default: bool
    meaning: str


def examine(*, thorough: bool = True) -> list[Finding]:
    """Look at every part; nothing is changed but a database that has no tables yet.

    Args:
        thorough: Whether to read all of a SQLite file in search of damage, which takes seconds
            for every gigabyte.
    """
    looks = [*_LOOKS, _integrity] if thorough else _LOOKS
    return [finding for look in looks for finding in look()]


def settings_in_force() -> list[Setting]:
    """Return every setting, its passwords hidden."""
    shown = {"database_url": display_url(settings().database_url)}
    shown["broker_url"] = display_broker(settings().broker_url)
    values = {**settings().model_dump(mode="json"), **shown}
    return [
        Setting(
            f"CAAT_{name.upper()}",
            str(values[name]),
            name not in settings().model_fields_set,
            field.description or "",
        )
        for name, field in type(settings()).model_fields.items()
    ]


def _versions() -> Iterator[Finding]:
    yield Finding("versions", True, ", ".join(f"{name} {v}" for name, v in versions().items()))


def _settings() -> Iterator[Finding]:
    told = (
        f"{setting.variable.removeprefix('CAAT_').lower()}={setting.value}"
        for setting in settings_in_force()
    )
    yield Finding("settings", True, ", ".join(told))


def _database() -> Iterator[Finding]:
    try:
        database = open_database()
        kind, size = health.version(database), health.size(database)
        revision = database.revision()
    except DatabaseError as error:
        yield Finding("database", False, str(error))
        return
    mode = f", journal {journal_mode()}" if database.is_sqlite else ""
    about = f"{kind}, {size / 1e6:,.1f} MB, revision {revision}{mode}"
    yield Finding("database", True, f"{about}: {database.display_url}")


def _integrity() -> Iterator[Finding]:
    try:
        database = open_database()
        problems = database.integrity_problems()
    except DatabaseError:
        return  # said above
    if database.is_sqlite:
        cure = "copy what can be read with `caat db backup`, and look at the disk"
        text = f"{'; '.join(problems)}: {cure}" if problems else "no damage found"
        yield Finding("database file", not problems, text)


def _broker() -> Iterator[Finding]:
    url = settings().broker_url
    if broker.is_up(url):
        yield Finding("broker", True, f"answers at {display_broker(url)}")
        yield from _messages()
        return
    cure = (
        "`caat up` starts it"
        if settings().uses_embedded_broker
        else "start it, or mend CAAT_BROKER_URL"
    )
    yield Finding("broker", False, f"no answer at {display_broker(url)}: {cure}; runs wait safely")


def _messages() -> Iterator[Finding]:
    try:
        aside = messages.set_aside_messages()
    except redis.exceptions.RedisError:
        return  # it answered a moment ago; the next look says more
    if aside.count:
        were = "message" if aside.count == 1 else "messages"
        text = (
            f"{aside.count:,} {were} could not be read and {'was' if aside.count == 1 else 'were'}"
        )
        cure = "`caat messages` shows them, `caat messages --forget` ends this line"
        yield Finding("messages", True, f"{text} set aside; no run is harmed: {cure}")


def _workers() -> Iterator[Finding]:
    try:
        with open_database().read() as session:
            known = queries.workers(session)
            waiting = queries.queue_length(session)
    except DatabaseError:
        return  # said above
    limit = SILENT_AFTER * settings().sweep_seconds
    alive = [w for w in known if w.state != "stopped" and w.seconds_since_seen < limit]
    ready = [w for w in alive if not w.too_old]
    told = [too_old(w.host, w.revision, head_revision()) for w in alive if w.too_old]
    told += [f"{w.id} ({w.device}, {w.state})" for w in ready]
    if not ready:
        told.append("none is running: start one with `caat worker`")
    yield Finding("workers", bool(ready), f"{', '.join(told)}; queued runs: {waiting}")


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
    cure = "" if free > LOW_DISK else ": delete runs, or move CAAT_DATA_DIR to a larger disk"
    yield Finding("disk", free > LOW_DISK, f"{free / 1e9:.1f} GB free in {folder}{cure}")
    parts = {part: _size(folder / place) for part, place in _PLACES.items()}
    parts["database"] = sum(_size(file) for file in folder.glob("*.db*"))
    told = ", ".join(f"{part} {size / 1e6:,.1f} MB" for part, size in parts.items())
    yield Finding("files", True, told)


def _size(place: Path) -> int:
    """Return the bytes of a file, or of all files under a folder; what vanishes counts nothing."""
    found = 0
    for file in [place, *place.rglob("*")]:
        with contextlib.suppress(OSError):
            found += file.stat().st_size if file.is_file() else 0
    return found


def _limits() -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    cores = len(psutil.Process().cpu_affinity()) if psutil.LINUX else psutil.cpu_count()
    text = (
        f"{cores} CPU cores, {memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB memory "
        f"free, a run is given up after {settings().max_lost_attempts} lost attempts"
    )
    yield Finding("limits", True, text)


def display_broker(url: str) -> str:
    """Return a broker's URL without its password."""
    return sqlalchemy.make_url(url).render_as_string(hide_password=True)


_LOOKS: list[Callable[[], Iterator[Finding]]] = [
    _versions,
    _settings,
    _device,
    _limits,
    _disk,
    _database,
    _broker,
    _workers,
    _data,
]
