"""URLs with secrets in them: taken apart strictly, and shown without their secrets."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qsl, quote, unquote

MASK = "***"
SHOWN_PARAMETERS = frozenset(
    {
        "application_name",
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "db",
        "dbname",
        "gssencmode",
        "host",
        "hostaddr",
        "load_balance_hosts",
        "port",
        "ssl_cert_reqs",
        "ssl_check_hostname",
        "sslmode",
        "target_session_attrs",
        "virtual_host",
    }
)
"""What may be shown of a URL's parameters; every other one may hold a secret, or be one."""
_SQLITE_PARAMETERS = frozenset(
    {
        "cached_statements",
        "check_same_thread",
        "detect_types",
        "isolation_level",
        "timeout",
        "uri",
        *("cache", "immutable", "mode", "nolock", "psow", "vfs"),
    }
)
SOCKET_SCHEMES = ("redis+socket", "unix")
SHORTEST_SECRET = 4
"""Characters; to blot out a shorter one in a text would betray it by the holes that it leaves."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]]*)(?::([0-9]{1,5}))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ENCODE = "write @ : / ? # [ ] % of a password as %40 %3A %2F %3F %23 %5B %5D %25"


class UrlError(ValueError):
    """Not a URL that can be used; the text says why and holds nothing of the URL."""


@dataclass(frozen=True)
class Parts:
    """A URL taken apart; all but host and path are decoded."""

    scheme: str
    username: str
    password: str
    host: str
    port: int | None
    path: str
    query: tuple[tuple[str, str], ...]

    @property
    def secrets(self) -> list[str]:
        """Return what of it must never be shown."""
        hidden = [value for name, value in self.query if name not in SHOWN_PARAMETERS]
        own_user = [] if names_database(self.scheme) else [self.username]
        return [secret for secret in [self.password, *own_user, *hidden] if secret]


def split(url: str) -> Parts:
    """Take the URL of a server, or of a local file or socket, apart.

    A password with characters of its own meaning in it would be cut there, and its tail be taken
    for a host: such a URL is refused.

    Raises:
        UrlError: It can be read in more than one way, or in none.
    """
    if _CONTROL.search(url) or url != url.strip():
        raise UrlError("it has spaces around it or control characters in it")
    found = _URL.fullmatch(url)
    if found is None:
        raise UrlError(f"it is no URL, or has a # in it: {_ENCODE}")
    scheme, authority, path, query = found.groups()
    userinfo, _, address = authority.rpartition("@")
    is_socket = scheme.lower() in SOCKET_SCHEMES and not authority
    if "@" in userinfo or ("@" in f"{path}{query or ''}" and not is_socket):
        raise UrlError(f"it has an @ that does not end the password: {_ENCODE}")
    where = _HOST.fullmatch(address)
    if where is None or not _is_port(where[2]):
        raise UrlError(f"its port is no number from 1 to 65535: {_ENCODE}")
    username, _, password = userinfo.partition(":")
    return Parts(
        scheme.lower(),
        unquote(username),
        unquote(password),
        where[1],
        int(where[2]) if where[2] else None,
        path,
        tuple(parse_qsl(query or "", keep_blank_values=True)),
    )


def _is_port(text: str | None) -> bool:
    return text is None or 1 <= int(text) <= 65535


def check_database_url(url: str) -> None:
    """Refuse a database's URL that can be read in two ways, or that its driver would repeat.

    Raises:
        UrlError: Why.
    """
    if url.lower().startswith("sqlite"):
        names = [name for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)]
        if set(names) - _SQLITE_PARAMETERS or ("?" in url and not names):
            raise UrlError("it has a ? that begins no parameter of SQLite: write it as %3F")
        return
    if _backend(url) not in ("postgresql", "postgres"):
        return  # whoever parses it says what it must be
    names = [name for name, _ in split(url).query]
    if set(names) - _postgresql_parameters():
        raise UrlError("it has a parameter that PostgreSQL does not know")
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        driver = make_url(url).set(drivername="postgresql+psycopg")
        driver.get_dialect()().create_connect_args(driver)
    except (ArgumentError, ValueError):
        raise UrlError("its hosts and ports do not fit each other") from None


def _backend(url: str) -> str:
    return url.partition(":")[0].partition("+")[0].lower()


@cache
def _postgresql_parameters() -> frozenset[str]:
    from psycopg import pq  # loading it takes a moment, that SQLite's users need not wait

    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def sqlite_file(url: str) -> str:
    """Return the file that a database's URL names; nothing of a server's."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    return (parsed.database or "") if parsed.get_backend_name() == "sqlite" else ""


def names_database(scheme: str) -> bool:
    """Tell whether a scheme is a database's: its user name is a role, and no secret."""
    return scheme.partition("+")[0] in ("postgresql", "postgres", "sqlite")


def display_url(url: str) -> str:
    """Return a URL of any kind as it may be shown: without its secrets.

    What is shown is listed, not what is hidden: a parameter that nobody thought of is hidden.
    """
    if not url:
        return ""
    if url.startswith("sqlite:"):  # a path, in which every character may stand
        file, mark, _ = url.partition("?")
        return f"{file}?{MASK}" if mark else file
    try:
        parts = split(url)
    except UrlError:
        return "(not shown: it cannot be read as a URL)"
    user = parts.username
    shown_user = quote(user, safe="") if names_database(parts.scheme) else (MASK if user else "")
    userinfo = f"{shown_user}:{MASK}" if parts.password else shown_user
    port = f":{parts.port}" if parts.port else ""
    path = parts.path if _may_show_path(parts) else f"/{MASK}"
    shown = [f"{n}={quote(v, safe='/:')}" for n, v in parts.query if n in SHOWN_PARAMETERS]
    shown += [MASK] if len(shown) < len(parts.query) else []
    return "".join(
        [
            f"{parts.scheme}://",
            f"{userinfo}@" if userinfo else "",
            f"{parts.host}{port}{path}",
            f"?{'&'.join(shown)}" if shown else "",
        ]
    )


def _may_show_path(parts: Parts) -> bool:
    known = names_database(parts.scheme) or parts.scheme in SOCKET_SCHEMES
    return known or not parts.path.strip("/0123456789")


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return a text with every secret in it blotted out, as it is or percent-encoded."""
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""), quote(secret))}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= SHORTEST_SECRET:
            text = text.replace(form, MASK)
    return text
