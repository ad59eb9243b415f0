"""A real PgBouncer before a real PostgreSQL, for tests."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy.engine import URL

PROGRAM = "/usr/sbin/pgbouncer"
MISSING = f"{PROGRAM} is missing: apt-get install pgbouncer"
_READY_SECONDS = 20
_SETTINGS = """
[databases]
* = host={host} port={port} user=caat
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 2
max_client_conn = 50
server_reset_query = DISCARD ALL
"""


def may_be_left_out() -> bool:
    """Tell whether tests of a pooler may be left out: there is none here, and this is no CI."""
    return shutil.which(PROGRAM) is None and "CI" not in os.environ


@contextmanager
def pgbouncer(server: URL, mode: str = "transaction") -> Iterator[URL]:
    """Give the URL of a pooler of two connections a database; it is ended by its own pid."""
    with tempfile.TemporaryDirectory(prefix="caat-pgb-") as folder:
        url = URL.create(
            "postgresql+psycopg", "caat", host="127.0.0.1", port=_free_port(), database="postgres"
        )
        settings = Path(folder) / "pgbouncer.ini"
        host = server.host or server.query["host"]
        settings.write_text(
            _SETTINGS.format(host=host, port=server.port or 5432, listen=url.port, mode=mode)
        )
        user: dict[str, str] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(folder, "postgres")
            shutil.chown(settings, "postgres")
            user["user"] = "postgres"
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen([PROGRAM, str(settings)], stdout=log, stderr=log, **user)
        try:
            _wait(process, url)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", url: URL) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            socket.create_connection((str(url.host), int(url.port or 0)), timeout=1).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"pgbouncer is not ready: exit {process.poll()}")


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
