"""A broker's URL: one spelling, that Celery and redis-py read alike."""

import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import quote, unquote, urlencode

from db.urls import Parts, UrlError, split

ALLOWED = "redis://HOST:PORT/N, rediss://HOST:PORT/N or redis+socket:///PATH"
IN_MEMORY = "memory://"
"""Kombu's broker within one process, for what is measured without one."""
LONGEST_SOCKET_PATH = 100
"""A Unix socket's path has room for 108 bytes on Linux and 104 on macOS."""
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_CHOICES = {
    "ssl_cert_reqs": ("required", "optional", "none"),
    "ssl_check_hostname": ("true", "false"),
}


def checked(url: str) -> str:
    """Return the URL in the spelling that both clients read alike.

    kombu takes a password from before the host only, redis-py from a parameter too; what is not
    known to both is refused.

    Raises:
        UrlError: It is not the URL of a Redis.
    """
    if url == IN_MEMORY:
        return url
    parts = split(url)
    if parts.scheme not in ("redis", "rediss", "redis+socket"):
        raise UrlError("it begins with something else")
    given = dict(parts.query)
    if len(given) < len(parts.query):
        raise UrlError("it has a parameter twice")
    login = _login(parts, given)
    if parts.scheme == "redis+socket":
        return _socket(parts, given, login)
    _require_host(parts.host)
    number = _number(parts, given)
    tls = _tls(given) if parts.scheme == "rediss" else {}
    if given:
        raise UrlError("it has a parameter that is not known")
    options = f"?{urlencode(tls)}" if tls else ""
    host = f"{parts.host or '127.0.0.1'}:{parts.port or 6379}"
    return f"{parts.scheme}://{login}{host}/{number}{options}"


def with_password(url: str, password: str) -> str:
    """Return a checked URL with the password that is given beside it.

    Raises:
        ValueError: It has one already, or needs none.
    """
    if url == IN_MEMORY:
        raise ValueError("CAAT_BROKER_PASSWORD: a broker in memory has none; leave it out")
    parts = split(url)
    if parts.password:
        raise ValueError("CAAT_BROKER_PASSWORD: CAAT_BROKER_URL has a password too; leave one out")
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{_userinfo(parts.username, password)}{rest.rpartition('@')[2]}"


def lacks_password(url: str) -> bool:
    """Tell whether a checked URL names a user and no password."""
    parts = split(url)
    return bool(parts.username and not parts.password)


def of_socket(path: Path) -> str:
    """Return the URL of a broker that listens on a Unix socket, whatever the path's name."""
    return f"redis+socket://{quote(str(path))}"


def for_redis(url: str) -> str:
    """Return a checked URL as redis-py reads it."""
    return url.replace("redis+socket://", "unix://", 1).replace("?virtual_host=", "?db=")


def _login(parts: Parts, given: dict[str, str]) -> str:
    name, password = given.pop("username", ""), given.pop("password", "")
    if (name and parts.username) or (password and parts.password):
        raise UrlError("it has a user or a password twice")
    return _userinfo(parts.username or name, parts.password or password)


def _userinfo(name: str, password: str) -> str:
    if not name and not password:
        return ""
    return f"{quote(name, safe='')}:{quote(password, safe='')}@"


def _require_host(host: str) -> None:
    try:
        host.strip("[]").encode("idna")  # as the system's look-up does, which says it less well
    except UnicodeError:
        raise UrlError("its host is no host's name") from None


def _number(parts: Parts, given: dict[str, str]) -> str:
    number = given.pop("virtual_host", "") or given.pop("db", "") or parts.path.strip("/") or "0"
    if not number.isascii() or not number.isdigit() or len(number) > 6:
        raise UrlError("what stands behind the host is not the number of a database")
    return number


def _socket(parts: Parts, given: dict[str, str], login: str) -> str:
    if parts.host or parts.port or len(parts.path) < 2:
        raise UrlError("it names no socket")
    number = given.pop("virtual_host", "") or given.pop("db", "")
    if given or (number and not number.isdigit()):
        raise UrlError("it has a parameter that is not known")
    path = quote(unquote(parts.path))
    return f"redis+socket://{login}{path}" + (f"?virtual_host={number}" if number else "")


def _tls(given: dict[str, str]) -> dict[str, str]:
    """Take what is said of certificates; a server's own is asked for unless it says otherwise."""
    found = {"ssl_cert_reqs": given.pop("ssl_cert_reqs", "required").lower().removeprefix("cert_")}
    if "ssl_check_hostname" in given:
        found["ssl_check_hostname"] = given.pop("ssl_check_hostname").lower()
    for name, value in found.items():
        if value not in _TLS_CHOICES[name]:
            raise UrlError(f"{name} must be {' or '.join(_TLS_CHOICES[name])}")
    return found | {name: given.pop(name) for name in _TLS_FILES if name in given}


def embedded(data_dir: Path) -> str:
    """Return the URL of the broker that `caat up` starts."""
    return of_socket(socket_path(data_dir))


def socket_path(data_dir: Path) -> Path:
    """Return the embedded broker's socket: in the data directory unless its path is too long."""
    path = data_dir / "broker" / "broker.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    mark = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"caat-{mark}.sock"
    return short if len(os.fsencode(short)) <= LONGEST_SOCKET_PATH else Path("/tmp") / short.name
