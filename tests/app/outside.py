"""A machine whose way out is a black hole: names are looked up for ever, connections hang.

`environment` puts a ``sitecustomize`` before a Python process: whatever leaves loopback is written
down and then hangs, as behind a firewall that drops packets.
"""

from pathlib import Path

_SITE = """
import ipaddress, os, socket, time

def _is_here(host):
    if host in (None, "", "localhost", b"localhost", socket.gethostname()):
        return True
    try:
        number = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return number.is_loopback or number.is_unspecified

def _hang(what):
    with open(os.environ["OUTSIDE_LOG"], "a") as log:
        log.write(f"{what}\\n")
    time.sleep(20)
    raise OSError("nobody answers")

def _watched(call, host_of):
    def watched(*args, **named):
        host = host_of(*args, **named)
        return call(*args, **named) if _is_here(host) else _hang(f"{call.__name__} {host}")
    return watched

for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getfqdn"):
    setattr(socket, name, _watched(getattr(socket, name), lambda host="", *_, **__: host))

def _host_of(connection, address):
    return address[0] if connection.family in (socket.AF_INET, socket.AF_INET6) else None

for name in ("connect", "connect_ex"):
    setattr(socket.socket, name, _watched(getattr(socket.socket, name), _host_of))
"""
PROXIES = {
    name: "http://192.0.2.1:3128"
    for base in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY")
    for name in (base, base.lower())
}
"""Proxies that nobody reaches (RFC 5737), in every spelling that a library may look for."""


def environment(folder: Path) -> dict[str, str]:
    """Return variables of a process that is cut off; what it tried is in ``folder``/outside.log."""
    (folder / "sitecustomize.py").write_text(_SITE, encoding="utf-8")
    (folder / "outside.log").touch()
    return {"PYTHONPATH": str(folder), "OUTSIDE_LOG": str(folder / "outside.log")}


def attempts(folder: Path) -> list[str]:
    return (folder / "outside.log").read_text(encoding="utf-8").splitlines()
