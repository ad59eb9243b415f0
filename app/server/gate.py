"""What stands before Streamlit: who may ask the dashboard, and what a browser may do with answers.

Streamlit answers every Host, and asks a server on the internet for this machine's address when a
WebSocket comes from a page that it does not know. So each request is judged here first, over HTTP
and WebSocket alike:

- Host is a name of this dashboard: the host of ``CAAT_PUBLIC_URL``, a loopback name, or the address
  that is served. No other name can be made to point here (DNS rebinding). Loopback names may have
  any port, as a tunnel (``ssh -L 9000:localhost:8501``) gives them another.
- Origin, where a browser sends it, is the page's own: that of ``CAAT_PUBLIC_URL``, or ``http://``
  and the very Host that was asked. Browsers send it with every WebSocket and every change, so a
  request without it does not come from another page.

What a proxy says of a request (``X-Forwarded-...``) counts nothing.
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import typer
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.address import as_address

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_CLOSED = re.compile(r"/_stcore/(metrics|script-health-check|agent(/.*)?)/*$")
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
MISDIRECTED = (
    "This dashboard does not answer under this name. If it should, set CAAT_PUBLIC_URL to the "
    "address that people open, and start it again."
)
FOREIGN = (
    "This request comes from a page of another address than the dashboard's own. If that is where "
    "people open it, set CAAT_PUBLIC_URL to that address, and start it again."
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    text: str
    header: str = ""


@dataclass(frozen=True)
class Names:
    """What this dashboard is called.

    Args:
        public_url: The address that people open (``CAAT_PUBLIC_URL``), or nothing.
        hosts: Names other than loopback's that lead to the served port.
    """

    public_url: str = ""
    hosts: frozenset[str] = frozenset()

    @property
    def public_origin(self) -> str:
        scheme, host, *_ = urlsplit(self.public_url)
        return f"{scheme}://{host}" if host else ""

    def refusal(self, host: str | None, origin: str | None, served: object) -> Refusal | None:
        """Judge a request.

        Args:
            host: Its Host header, or None where it has none or several.
            origin: Its Origin header, or None where it has none.
            served: The address and port that the request reached.
        """
        host = (host or "").lower()
        own = self._is_own(host, served)
        if not own and not self._is_public(host):
            return Refusal(421, MISDIRECTED, "Host")
        if origin is None or (origin == self.public_origin and origin):
            return None
        if own and origin == f"http://{host.removesuffix(':80')}":
            return None
        return Refusal(403, FOREIGN, "Origin")

    def is_trustworthy(self, host: str) -> bool:
        """Whether a browser takes the page of a Host for one that nobody changed on its way."""
        return self.public_url.startswith("https:") or _is_loopback(host.rpartition(":")[0] or host)

    def _is_public(self, host: str) -> bool:
        """Whether a Host is that of the public URL; proxies often leave its port out."""
        if not self.public_url:
            return False
        url = urlsplit(self.public_url)
        default = {"http": 80, "https": 443}[url.scheme]
        bare = url.netloc.removesuffix(f":{url.port}") if url.port else url.netloc
        return host in (url.netloc, bare, f"{bare}:{url.port or default}")

    def _is_own(self, host: str, served: object) -> bool:
        found = _HOST.fullmatch(host)
        if found is None or (found[2] and int(found[2]) >= 2**16):
            return False
        name, port = found[1], int(found[2] or 80)
        if _is_loopback(name):
            return True
        address = as_address(name)
        if not isinstance(served, Iterable):
            return False
        served_address, served_port = served
        is_here = name in self.hosts or (
            address is not None and address == as_address(str(served_address))
        )
        return is_here and port == served_port


def _is_loopback(name: str) -> bool:
    address = as_address(name)
    return name == "localhost" or (address is not None and address.is_loopback)


@dataclass
class Gate:
    """An ASGI application around another: lets pass what `Names` allows, and adds headers."""

    app: ASGIApp
    names: Names
    index: Path
    """The page whose inline scripts may run."""
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        scripts = _INLINE_SCRIPT.findall(self.index.read_bytes())
        digests = [base64.b64encode(hashlib.sha256(script).digest()) for script in scripts]
        self._inline = " ".join(f"'sha256-{digest.decode()}'" for digest in digests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        host, origin = (_values(scope, name) for name in (b"host", b"origin"))
        refusal = self.names.refusal(
            host[0] if len(host) == 1 else None,
            ", ".join(origin) if origin else None,
            scope.get("server"),
        )
        if refusal is None and _CLOSED.search(scope["path"]):
            refusal = Refusal(404, "Not found")
        guarded = _with_headers(send, self._headers("" if refusal else host[0].lower()))
        if refusal is not None:
            self._tell(refusal, {"Host": host, "Origin": origin})
            await PlainTextResponse(refusal.text, refusal.status)(scope, receive, guarded)
            return
        # Judged above: Streamlit's own check may ask a server on the internet.
        headers = [header for header in scope["headers"] if header[0] != b"origin"]
        await self.app({**scope, "headers": headers}, receive, guarded)

    def _tell(self, refusal: Refusal, sent: dict[str, list[str]]) -> None:
        """Say on stderr what was refused: the first time only, as pages ask again and again."""
        if refusal.header and refusal.header not in self._told:
            self._told.add(refusal.header)
            value = ascii(", ".join(sent[refusal.header])[:200])
            typer.echo(f"caat: refused {refusal.header} {value}. {refusal.text}", err=True)

    def _headers(self, host: str) -> dict[str, str]:
        """Return what goes with each answer to a request for a Host, or for none of ours."""
        headers = {**HEADERS, "content-security-policy": self._policy(host)}
        if self.names.is_trustworthy(host):  # elsewhere browsers ignore it, and complain
            headers["cross-origin-opener-policy"] = "same-origin"
        return headers

    def _policy(self, host: str) -> str:
        """Return what a page of this dashboard may load: its own, nothing else."""
        sockets = [f"ws://{host}"] if host else []
        if self.names.public_origin:
            sockets.append(self.names.public_origin.replace("http", "ws", 1))
        rules = {
            "default-src": "'self'",
            "script-src": f"'self' {self._inline} blob:",  # the live curves' script is a blob
            "style-src": "'self' 'unsafe-inline'",
            "img-src": "'self' data: blob:",
            "font-src": "'self' data:",
            "connect-src": " ".join(["'self'", *sockets]),
            "worker-src": "'self' blob:",
            "object-src": "'none'",
            "base-uri": "'self'",
            "form-action": "'self'",
            "frame-ancestors": "'none'",
        }
        return "; ".join(f"{name} {value}" for name, value in rules.items())


def _with_headers(send: Send, added: dict[str, str]) -> Send:
    """Return a way to send answers with these headers, and with no leave for other origins."""
    encoded = [(name.encode(), value.encode()) for name, value in added.items()]

    async def guarded(message: Message) -> None:
        if message["type"].endswith("http.response.start"):
            kept = [
                (name, _as_path(value) if name == b"location" else value)
                for name, value in message["headers"]
                if name.decode() not in added and not name.startswith(b"access-control-")
            ]
            message = {**message, "headers": [*kept, *encoded]}
        await send(message)

    return guarded


def _as_path(location: bytes) -> bytes:
    """Return where a redirection leads without scheme and host, which a proxy has others of."""
    target = urlsplit(location.decode("latin-1"))
    if not target.netloc:
        return location
    query = f"?{target.query}" if target.query else ""
    return f"/{target.path.lstrip('/')}{query}".encode("latin-1")


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
