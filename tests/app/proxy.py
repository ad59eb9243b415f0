"""A real nginx, set up by the lines of docs/deployment.md, and a tunnel to another port."""

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from tests.app.browser import wait_for

DOCUMENT = Path(__file__).parents[2] / "docs" / "deployment.md"
PUBLIC_NAME = "caat.example.test"
"""Chromium finds it at 127.0.0.1; nobody else knows it."""
_AROUND = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    {server}
}}
"""


@contextmanager
def nginx(folder: Path, *, scheme: str, path: str, public_port: int, port: int) -> Iterator[None]:
    """Run nginx before the dashboard at ``port``, as the documents say, for PUBLIC_NAME."""
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None or shutil.which("openssl") is None:
        reason = "needs nginx and openssl (Debian: apt-get install nginx-light openssl)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    _make_certificate(folder)
    settings = folder / "nginx.conf"
    server = _documented(folder, scheme, path).replace("8501", str(port))
    server = re.sub(r"listen 443", f"listen 127.0.0.1:{public_port}", server)
    settings.write_text(_AROUND.format(folder=folder, server=server), encoding="utf-8")
    log = folder / "nginx.log"
    command = [binary, "-e", str(log), "-p", str(folder), "-c", str(settings)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: _listens(public_port), 10)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _documented(folder: Path, scheme: str, path: str) -> str:
    """Return the document's nginx lines: without its password, and with this test's names."""
    (server,) = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    server = re.sub(r"\n *auth_basic[^\n]*", "", server)
    server = server.replace("caat.example.org", PUBLIC_NAME).replace("/lab/", path)
    server = re.sub(r"/etc/ssl/(caat\.\w+)", rf"{folder}/\1", server)
    if scheme == "http":
        server = re.sub(r"\n *ssl_[^\n]*", "", server).replace("443 ssl", "443")
    return server


def _make_certificate(folder: Path) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(folder / "caat.key"), "-out", str(folder / "caat.pem")]
    about = ["-days", "2", "-subj", f"/CN={PUBLIC_NAME}"]
    command = ["openssl", "req", "-x509", *key, *files, *about]
    subprocess.run(command, check=True, capture_output=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def tunnel(port: int) -> Iterator[int]:
    """Hand on connections to a port as `ssh -L` does; give the port where they are taken."""

    class Carrier(StreamRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as there:
                back = threading.Thread(target=_pump, args=(there, self.request), daemon=True)
                back.start()
                _pump(self.request, there)
                back.join()

    with ThreadingTCPServer(("127.0.0.1", 0), Carrier) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
