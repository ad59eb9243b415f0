"""The address that people open, where that is not the address that the dashboard listens at."""

import ipaddress
import re

ALLOWED = (
    "http:// or https://, a host, and at most a port and a path: https://caat.example.org/lab/"
)
_SEGMENT = r"(?!\.+(?:/|$))[A-Za-z0-9._~-]+"
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])"
    rf"(?::(?P<port>[0-9]{{1,5}}))?(?P<path>(?:/{_SEGMENT})*)/?",
    re.IGNORECASE,
)
DEFAULT_PORTS = {"http": 80, "https": 443}


def normalised(text: str) -> str:
    """Return the URL as a browser writes it, with a slash at its end; empty stays empty.

    Raises:
        ValueError: It is no address of a page.
    """
    text = text.strip()
    if not text:
        return ""
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError(f"allowed: {ALLOWED}")
    scheme, path = found["scheme"].lower(), found["path"]
    port = int(found["port"]) if found["port"] else DEFAULT_PORTS[scheme]
    if not 0 < port < 2**16:
        raise ValueError("allowed: a port of 1 to 65535")
    shown = "" if port == DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{_host(found['host'].lower())}{shown}{path}/"


def _host(host: str) -> str:
    """Return a host as a browser writes it; what ends in a number is an address or nothing."""
    try:
        if host.startswith("["):
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rpartition(".")[2]):
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise ValueError(f"allowed: {ALLOWED}") from None
    return host
