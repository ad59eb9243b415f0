"""The dashboard as its operator starts it: at any address, cut off, behind a real proxy."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.sync.client import connect

from app.server.address import Address
from engine.errors import UserError
from tests.app import outside
from tests.app.browser import free_port, visiting, wait_for
from tests.app.proxy import PUBLIC_NAME, nginx, tunnel

PATIENCE = 120.0
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass
class Started:
    """A command of ours that serves: its process, its port, what it says."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def asked(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        """Ask as any program may, with the very headers that are given."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as link:
            link.putrequest(method, path, skip_host=True)
            for name, value in headers.items():
                link.putheader(name.replace("_", "-"), value)
            link.endheaders()
            return link.getresponse()


@contextmanager
def started(
    folder: Path, data_dir: Path, *command: str, port: int | None = None, **settings: str
) -> Iterator[Started]:
    """Run one of our commands in an empty folder until the end of the block."""
    port = port or free_port()
    given = {"CAAT_DATA_DIR": str(data_dir), "CAAT_DATABASE_URL": "", **settings}
    log = folder / "said.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", *command, "--port", str(port)],
            env={**os.environ, **given},
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Started(process, port, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_served(server: Started) -> str:
    """Wait until it says where it is; return the line."""
    wait_for(lambda: "CAAT Studio is at" in server.said() or server.process.poll() is not None, 120)
    (line,) = (line for line in server.said().splitlines() if "CAAT Studio is at" in line)
    return line


class Health(BaseHTTPRequestHandler):
    """What answers as the dashboard does."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/_stcore/health" else 404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def answering(listener: socket.socket) -> Iterator[None]:
    server = HTTPServer(listener.getsockname()[:2], Health, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    listener.setblocking(True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("127.0.0.1", "http://localhost:{}"),
        ("localhost", "http://localhost:{}"),
        ("127.0.0.2", "http://127.0.0.2:{}"),
        ("127.1", "http://127.1:{}"),
        ("::1", "http://[::1]:{}"),
        ("[::1]", "http://[::1]:{}"),
        ("0.0.0.0", "http://localhost:{}"),
        ("::", "http://localhost:{}"),
    ],
)
def test_the_look_at_itself_goes_to_the_address_that_is_served_past_every_proxy(
    text, opened, monkeypatch
):
    for name, value in outside.PROXIES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY", raising=False)
    address = Address.of(text, free_port())
    assert not address.answers()
    listener, *others = address.listen()
    with answering(listener):
        assert address.answers()
        assert not address.answers("/lab/")
        assert address.to_open()[0] == opened.format(address.port)
        with pytest.raises(UserError, match=f"--port: {address.port} is taken at"):
            address.refuse_if_taken()
    for other in others:
        other.close()
    address.refuse_if_taken()


def test_a_port_that_is_taken_elsewhere_only_is_free():
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        Address.of("127.0.0.1", port).refuse_if_taken()
        Address.of("::1", port).refuse_if_taken()
        for text in ("127.0.0.2", "0.0.0.0", "::"):
            with pytest.raises(UserError, match="is taken at"):
                Address.of(text, port).refuse_if_taken()


def test_localhost_is_not_named_where_another_program_is_found_under_it():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as another:
        port = another.getsockname()[1]
        assert Address.of("127.0.0.1", port).to_open() == [f"http://127.0.0.1:{port}"]


@pytest.mark.parametrize(
    "text", ["192.0.2.7", "2001:db8::7", "no such host", "a" * 70, "1.2.3.4.5"]
)
def test_an_address_that_is_none_of_this_machines_is_told_in_one_line(text):
    with pytest.raises(UserError) as told:
        Address.of(text, 1).refuse_if_taken()
    assert str(told.value).startswith("CAAT_DASHBOARD_ADDRESS: ")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [("127.0.0.2", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_consent_is_asked_for_where_other_machines_reach_the_address(text, is_loopback):
    assert Address.of(text, 1).is_loopback is is_loopback


@pytest.mark.parametrize(
    ("settings", "opened"),
    [
        ({"CAAT_DASHBOARD_ADDRESS": "127.0.0.2"}, r"http://127\.0\.0\.2:{port} \("),
        (
            {"CAAT_DASHBOARD_ADDRESS": "::", "CAAT_DASHBOARD_PUBLIC": "true"},
            r"http://localhost:{port}, from other machines http://\S+:{port}",
        ),
    ],
)
def test_everything_starts_at_another_address_with_proxies_set_and_nothing_reachable(
    settings, opened, data_dir, tmp_path
):
    settings = {**outside.PROXIES, **outside.environment(tmp_path), **settings}
    command = ("up", "--no-demo", "--workers", "0")
    with started(tmp_path, data_dir, *command, **settings) as server:
        line = until_served(server)
        assert re.search(opened.format(port=server.port), line), line
        for host in re.findall(r"http://([\w.-]+):\d+", line):
            with closing(http.client.HTTPConnection(host, server.port, timeout=10)) as link:
                link.request("GET", "/")
                assert link.getresponse().status == 200
    assert server.process.returncode == 0
    assert outside.attempts(tmp_path) == []


def test_a_port_that_is_lost_after_the_first_look_ends_everything_with_its_reason(
    data_dir, tmp_path
):
    command = ("up", "--no-demo", "--workers", "0")
    with started(tmp_path, data_dir, *command) as server:
        parent = psutil.Process(server.process.pid)
        wait_for(lambda: bool(parent.children()), 60)  # the dashboard is the first
        with socket.create_server(("127.0.0.1", server.port)):
            assert server.process.wait(PATIENCE) == 2
    told = f"caat: --port: {server.port} is taken at 127.0.0.1; choose another"
    assert server.said().splitlines() == [told]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, chromium) -> Iterator[Started]:
    """A dashboard without any setting, on a machine whose way out is a black hole."""
    folder = tmp_path_factory.mktemp("alone")
    settings = {**outside.environment(folder), "CAAT_BROKER_URL": "redis://127.0.0.1:1/0"}
    with started(folder, folder / "data", "dashboard", **settings) as server:
        until_served(server)
        yield server


def test_a_foreign_page_is_refused_at_once_and_nobody_waits_or_is_asked_outside(alone):
    host, took = f"localhost:{alone.port}", []
    for origin in ("https://evil.example", "null", f"http://localhost:{alone.port + 1}"):
        began = time.monotonic()
        answer = alone.asked("/_stcore/stream", Host=host, Origin=origin, **HANDSHAKE)
        assert answer.status == 403
        assert alone.asked("/", Host=host).status == 200
        took.append(time.monotonic() - began)
    assert max(took) < 15  # who asks outside waits twenty seconds
    assert alone.asked("/_stcore/stream", Host="evil.example", **HANDSHAKE).status == 421
    own = alone.asked("/_stcore/stream", Host=host, Origin=f"http://{host}", **HANDSHAKE)
    assert own.status == 101
    assert outside.attempts(alone.log.parent) == []
    refusals = [line for line in alone.said().splitlines() if "refused Origin" in line]
    assert len(refusals) == 1, "the first of a kind is told, the others would fill the log"


ROUTES = [
    ("GET", "/"),
    ("GET", "/run?id=1"),
    ("GET", "/favicon.png"),
    ("GET", "/_stcore/health"),
    ("GET", "/_stcore/host-config"),
    ("GET", "/_stcore/metrics"),
    ("GET", "/media/x.png"),
    ("GET", "/component/plotly/plotly.min.js"),
    ("GET", "/component/../../etc/passwd"),
    ("GET", "/_stcore/bidi-components/x"),
    ("GET", "//evil.example/"),
    ("GET", "/system/"),
    ("HEAD", "/"),
    ("OPTIONS", "/_stcore/upload_file/a/b"),
    ("PUT", "/_stcore/upload_file/a/b"),
    ("DELETE", "/_stcore/upload_file/a/b"),
    ("POST", "/_stcore/agent/interact"),
    ("BREW", "/"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_guarded_and_every_answer_says_what_a_browser_may_do(alone, method, path):
    host = f"127.0.0.1:{alone.port}"
    answers = [
        alone.asked(path, method, Host=host),
        alone.asked(path, method, Host="evil.example"),
        alone.asked(path, method, Host=host, Origin="http://evil.example"),
    ]
    assert [answer.status for answer in answers[1:]] == [421, 403]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "evil.example" not in str(answer.headers)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/_stcore/metrics", "/_stcore/metrics/", "/%5fstcore/metrics", "/_stcore/agent/mcp"]
)
def test_the_servers_inner_figures_are_told_nobody(alone, path):
    assert alone.asked(path, Host="localhost").status == 404


def test_what_a_proxy_says_of_a_request_counts_nothing(alone):
    forwarded = {"X_Forwarded_Host": "localhost", "Forwarded": "host=localhost"}
    assert alone.asked("/", Host="evil.example", **forwarded).status == 421
    forwarded = {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "https"}
    assert alone.asked("/", Host="localhost", **forwarded).status == 200


def test_a_tunnel_with_another_port_shows_the_dashboard(alone, chromium):
    with tunnel(alone.port) as port, visiting(chromium, f"http://127.0.0.1:{port}") as visit:
        title = visit.go("/system").get_by_role("heading", name="System")
        title.wait_for()
        assert title.is_visible()


def test_a_page_that_is_open_does_not_hold_up_the_end(data_dir, tmp_path):
    with started(tmp_path, data_dir, "dashboard") as server:
        until_served(server)
        with connect(f"ws://127.0.0.1:{server.port}/_stcore/stream", subprotocols=["streamlit"]):
            began = time.monotonic()
            server.process.terminate()
            assert server.process.wait(10) == 0
            assert time.monotonic() - began < 5


@pytest.mark.parametrize(("scheme", "path"), [("https", "/lab/"), ("http", "/")])
def test_a_run_is_launched_through_a_proxy_as_the_documents_describe_it(
    scheme, path, chromium, data_dir, tmp_path
):
    port, public_port = free_port(), free_port()
    public_url = f"{scheme}://{PUBLIC_NAME}:{public_port}{path}"
    settings = {"CAAT_PUBLIC_URL": public_url, **outside.environment(tmp_path)}
    with (
        nginx(tmp_path, scheme=scheme, path=path, public_port=public_port, port=port),
        started(tmp_path, data_dir, "dashboard", port=port, **settings) as server,
    ):
        here = f"http://localhost:{port}{path if path != '/' else ''}"
        assert f"CAAT Studio is at {public_url}, on this machine {here} " in until_served(server)
        with visiting(chromium, public_url.rstrip("/"), ignore_https_errors=True) as visit:
            page = visit.go("/new")
            page.get_by_role("button", name="Launch").first.click()
            page.get_by_text("Open the run").click()
            page.wait_for_url(f"{public_url}run?id=*")
            page.locator(".st-key-run-title").get_by_text("Queued").wait_for()
        redirected = server.asked(path.rstrip("/") or "/", Host=PUBLIC_NAME)
        assert redirected.headers.get("location") in (None, path)
        strange = {"Host": PUBLIC_NAME, "Origin": "https://evil.example"}
        assert server.asked(f"{path}_stcore/stream", **strange, **HANDSHAKE).status == 403
    assert outside.attempts(tmp_path) == []
