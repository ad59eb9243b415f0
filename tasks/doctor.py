"""Is this installation healthy? One finding per part, in words."""

import contextlib
import os
import shlex
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import redis

from db.connection import journal_mode
from db.errors import DatabaseError, SettingsError
from db.migrate import head_revision
from db.modes import is_shared
from db.reads import health, queries
from db.settings import PREFIX, shown_value, sources, suggestion, unknown_variables
from db.urls import display_url
from db.workers import too_old
from engine.data.datasets.base import datasets
from engine.errors import UserError
from engine.runtime import find_device, versions
from tasks import installed, sharing
from tasks.finding import Finding, Look
from tasks.libraries import networks
from tasks.queue import broker, messages
from tasks.settings import Settings, make_data_dir, open_database, settings

LOW_DISK = 2 * 10**9
_PLACES = {"checkpoints and logs": "runs", "datasets": "datasets", "broker": "broker"}
SILENT_AFTER = 4
"""A worker that missed so many of its own reports counts as gone."""


@dataclass(frozen=True)
class Setting:
    """One setting in force: its value without secrets, and what it means."""

    name: str
    value: str
    source: str
    meaning: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"{PREFIX}{self.name.upper()}"


def examine(*, thorough: bool = True) -> list[Finding]:
    """Look at every part; nothing is changed but a database that has no tables yet.

    With a mistake in the settings no part is looked at: it would be the wrong one.

    Args:
        thorough: Whether to read all of a SQLite file in search of damage, which takes seconds
            for every gigabyte.
    """
    mistakes = _mistakes()
    if mistakes:
        looks = {part: _LOOKS[part] for part in ("versions", "settings", "unknown variables")}
        told = [Finding("setting", False, text) for text in mistakes]
        rest = Finding("other parts", False, "not looked at before the settings are mended")
        return [*told, rest, *_all(looks)]
    more = {"integrity": _integrity, "networks": networks}
    return _all(_LOOKS | more if thorough else _LOOKS)


def _mistakes() -> list[str]:
    try:
        settings()
    except SettingsError as error:
        return error.mistakes
    return []


def _all(looks: Mapping[str, Look]) -> list[Finding]:
    return [finding for part, look in looks.items() for finding in _safely(part, look)]


def _safely(part: str, look: Look) -> Iterator[Finding]:
    """Look at a part; that the system refuses even the look is a finding as well."""
    try:
        yield from look()
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        yield Finding(part, False, f"{error.strerror or type(error).__name__}:{where}")


def settings_in_force() -> list[Setting]:
    """Return every setting, its secrets hidden; where one is wrong, what is asked for."""
    given = sources(Settings)
    values: dict[str, Any] = {n: f.default for n, f in Settings.model_fields.items()}
    values |= {name: value for name, (_, value) in given.items()}
    if not _mistakes():
        values = {name: getattr(settings(), name) for name in Settings.model_fields}
    return [
        Setting(
            name,
            shown_value(name, info, values[name]),
            given[name][0] if name in given else "default",
            info.description or "",
        )
        for name, info in Settings.model_fields.items()
    ]


def _versions() -> Iterator[Finding]:
    known = versions()
    told = ", ".join(f"{name} {version}" for name, version in known.items())
    yield Finding("versions", True, told, facts=known)


def _settings() -> Iterator[Finding]:
    told = ", ".join(f"{setting.name}={setting.value}" for setting in settings_in_force())
    yield Finding("settings", True, told)


def _unknown_variables() -> Iterator[Finding]:
    """Name what looks like a setting and is none; it changes nothing, so it is no fault."""
    for name in unknown_variables(Settings):
        meant = suggestion(Settings, name)
        cure = f"; was {meant} meant?" if meant else ""
        yield Finding("unknown setting", True, f"{name} changes nothing{cure}")
    if os.environ.get("CELERY_BROKER_URL"):
        text = "CELERY_BROKER_URL is set, and Celery obeys it before CAAT_BROKER_URL: unset it"
        yield Finding("broker variable", False, text)


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
    why = broker.why_down(url)
    if why is None:
        yield Finding("broker", True, f"answers at {display_url(url)}")
        yield from _messages()
        return
    cure = (
        "`caat up` starts it"
        if settings().uses_embedded_broker
        else "start it, or mend CAAT_BROKER_URL"
    )
    yield Finding("broker", False, f"{why} at {display_url(url)}: {cure}; runs wait safely")


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
        found = find_device(settings().device)
    except UserError as error:
        yield Finding("device", False, str(error))
        return
    yield Finding("device", True, f"{found.device} ({found.name})")


def _data() -> Iterator[Finding]:
    for name, source in datasets().items():
        here = source.is_here(settings().dataset_dir)
        text = "ready" if here else "not here; it is downloaded when a run first needs it"
        yield Finding("data", True, text, of=name)


def _disk() -> Iterator[Finding]:
    try:
        folder = make_data_dir()
    except SettingsError as error:
        yield Finding("data directory", False, str(error))
        return
    free = shutil.disk_usage(folder).free
    cure = "" if free > LOW_DISK else ": delete runs, or move CAAT_DATA_DIR to a larger disk"
    yield Finding("disk", free > LOW_DISK, f"{free / 1e9:.1f} GB free in {folder}{cure}")
    parts = {part: _size(folder / place) for part, place in _PLACES.items()}
    parts["database"] = sum(_size(file) for file in folder.glob("*.db*"))
    told = ", ".join(f"{part} {size / 1e6:,.1f} MB" for part, size in parts.items())
    yield Finding("files", True, told)


def _privacy() -> Iterator[Finding]:
    folder, group = settings().data_dir, settings().shared_group
    if not folder.is_dir():
        return
    about, shared = folder.stat(), is_shared(folder)
    owner, holder = sharing.user_name(about.st_uid), sharing.group_name(about.st_gid)
    mode = f"{stat.S_IMODE(about.st_mode):04o}"
    if group is not None and (not shared or holder != group):
        cure = f"{owner} must be in it, and start any `caat` command with this setting"
        yield Finding("privacy", False, f"{folder} is not shared with the group {group}: {cure}")
        return
    if not shared and about.st_mode & 0o077:
        cure = f"{owner} can close it with `chmod 700 {shlex.quote(str(folder))}`"
        yield Finding("privacy", False, f"others may look into {folder} (mode {mode}): {cure}")
        return
    # Nobody else comes to the files of a closed folder.
    wrong = sharing.wrong_modes(folder) if shared else []
    if wrong:
        cure = f"their owner can run `chmod -R g=u,o= {shlex.quote(str(folder))}`"
        text = f"{len(wrong)} files in {folder} are not as open to the group {holder} as it is"
        yield Finding("privacy", False, f"{text}, as {wrong[0]}: {cure}")
        return
    whom = f"shared with the group {holder}" if shared else f"for {owner} alone"
    yield Finding("privacy", True, f"{folder} is {whom} (mode {mode})")


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


_LOOKS: dict[str, Look] = {
    "versions": _versions,
    "settings": _settings,
    "unknown variables": _unknown_variables,
    "device": _device,
    "limits": _limits,
    "disk": _disk,
    "privacy": _privacy,
    "database": _database,
    "broker": _broker,
    "workers": _workers,
    "data": _data,
    "plug-ins": installed.plugins,
    "packages": installed.packages,
}
