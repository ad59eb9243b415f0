"""Where the dashboard listens, how a browser reaches it, and whether it answers."""

import errno
import http.client
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import psutil

from engine.errors import UserError

_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What listens at every address, and where this machine reaches it."""
_BACKLOG = 2048
_PATIENCE = 2.0
_ALLOWED = "allowed: an IP address or a host name of this machine, as in 127.0.0.1, ::1 or 0.0.0.0"


@dataclass(frozen=True)
class Address:
    """An address or host name and a port, with the socket addresses that they stand for."""

    text: str
    port: int
    places: tuple[tuple[socket.AddressFamily, tuple[Any, ...]], ...]

    @classmethod
    def of(cls, text: str, port: int) -> "Address":
        """Look an address up: in the system's own list of hosts first, as for any program.

        Raises:
            UserError: It is neither an IP address nor a known name.
        """
        bare = text.removeprefix("[").removesuffix("]")
        try:
            found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise _no_address(text, error) from None
        return cls(bare, port, tuple(dict.fromkeys((family, place) for family, *_, place in found)))

    @property
    def is_wildcard(self) -> bool:
        return all(place[0] in _WILDCARDS for _, place in self.places)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches what listens here."""
        numbers = [as_address(place[0]) for _, place in self.places]
        return all(number is not None and number.is_loopback for number in numbers)

    @property
    def names(self) -> frozenset[str]:
        """Host names under which it is reached, besides loopback's and IP addresses."""
        return frozenset({(socket.gethostname() if self.is_wildcard else self.text).lower()})

    def listen(self) -> list[socket.socket]:
        """Return sockets that listen here; of a name's addresses those that this machine has.

        Raises:
            UserError: The port is taken, or the address is none of this machine's.
        """
        found: list[socket.socket] = []
        missing: OSError | None = None
        with ExitStack() as opened:
            for family, place in self.places:
                try:
                    found.append(opened.enter_context(_listening(family, place)))
                except OSError as error:
                    if error.errno not in _NOT_HERE:
                        raise UserError(self._why_not(error)) from None
                    missing = error
            if not found:
                raise _no_address(self.text, missing)
            opened.pop_all()
        return found

    def refuse_if_taken(self) -> None:
        """Say now what would go wrong later.

        Raises:
            UserError: The port is taken, or the address is none of this machine's.
        """
        for listener in self.listen():
            listener.close()

    def to_open(self, path: str = "/") -> list[str]:
        """Return what to type into a browser: first on this machine, then on others."""
        shown = path if path != "/" else ""
        return [f"http://{host}:{self.port}{shown}" for host in self._hosts()]

    def answers(self, path: str = "/") -> bool:
        """Whether the dashboard answers here; no proxy that the environment names is asked."""
        return any(_answers(place, path) for _, place in self.places)

    def _why_not(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return f"--port: {self.port} is taken at {self.text}; choose another"
        if error.errno == errno.EACCES:
            return f"--port: {self.port} is for the system alone; choose one above 1023"
        return f"CAAT_DASHBOARD_ADDRESS: cannot listen at {self.text!r}: {error.strerror}"

    def _hosts(self) -> Iterator[str]:
        number = as_address(self.text)
        if self.is_wildcard or self.text in ("127.0.0.1", "localhost"):
            yield "127.0.0.1" if self._another_is_localhost() else "localhost"
        elif number is not None and number.version == 6:
            yield f"[{number}]"
        else:
            yield self.text
        if self.is_wildcard:
            yield socket.gethostname().lower()
            yield from _network_address()

    def _another_is_localhost(self) -> bool:
        """Whether another program listens at ::1, where a browser may look for localhost first."""
        if not socket.has_ipv6 or any(family == socket.AF_INET6 for family, _ in self.places):
            return False
        try:
            socket.create_connection(("::1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def as_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that a text is, in brackets or not, or None."""
    try:
        address = ipaddress.ip_address(text.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)  # how a socket for both families writes IPv4
    return mapped or address


def _listening(family: socket.AddressFamily, place: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # :: stands for both families
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(place[0] != "::"))
        listener.bind(place)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _answers(place: tuple[Any, ...], path: str) -> bool:
    reached = _WILDCARDS.get(place[0], place[0])
    with closing(http.client.HTTPConnection(reached, place[1], timeout=_PATIENCE)) as connection:
        try:
            connection.request("GET", f"{path}_stcore/health", headers={"Host": "localhost"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


def _no_address(text: str, error: Exception | None) -> UserError:
    reason = getattr(error, "strerror", None) or "not a host name"
    return UserError(f"CAAT_DASHBOARD_ADDRESS: {text!r} is not valid ({reason}); {_ALLOWED}")


def _network_address() -> Iterator[str]:
    """Yield the first IPv4 address that other machines may reach, if there is one."""
    for addresses in psutil.net_if_addrs().values():
        for known in addresses:
            number = as_address(known.address) if known.family == socket.AF_INET else None
            if number is not None and not number.is_loopback and not number.is_link_local:
                yield str(number)
                return
