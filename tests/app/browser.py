"""A dashboard of its own and a visitor in a real browser, for every test that asks."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.navigation import PAGES

ROOT = Path(__file__).parents[2]
_PATHS = "|".join(link.path.strip("/") for link in PAGES if link.path != "/")
PROBE = re.compile(rf"/({_PATHS})/_stcore/(health|host-config)$")
"""Streamlit looks for its server below a page's path first, and is told 404."""
SERVE = """
import sys
from pathlib import Path
from app.server.address import Address
from app.server.dashboard import serve

serve(Path(sys.argv[1]), Address.of("127.0.0.1", int(sys.argv[2])), on_start=lambda: None)
"""
"""Serves a script as `caat dashboard` serves ours."""
STILL = "[data-testid=stApp][data-test-script-state=notRunning]"
"""A page that is not being drawn."""
LISTEN = """() => {
    window.drawnAgain = false;
    const app = document.querySelector("[data-testid=stApp]");
    new MutationObserver((changes) => {
        const ran = changes.some((change) => change.oldValue === "running");
        window.drawnAgain ||= ran && app.dataset.testScriptState === "notRunning";
    }).observe(app, {attributeFilter: ["data-test-script-state"], attributeOldValue: true});
}"""
"""Has a page note when it has been drawn again."""


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def served(script: Path, data_dir: Path) -> Iterator[str]:
    """Serve a script on a free port; give its address."""
    port = free_port()
    environment = {
        **os.environ,
        "CAAT_DATA_DIR": str(data_dir),
        "CAAT_BROKER_URL": "redis://127.0.0.1:1/0",
    }
    command = [sys.executable, "-c", SERVE, str(script), str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(f"{address}/_stcore/health"), 60)
        yield address
    finally:
        process.kill()  # it holds nothing that has to be saved
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@dataclass
class Visit:
    """A tab of a browser, and what went wrong or over the wire in it."""

    page: Any
    address: str
    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    received: int = 0

    def watch(self) -> None:
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("response", self._note_failure)
        self.page.on("console", self._note_error)
        self.page.on("dialog", self._note_dialog)
        self.page.on("websocket", lambda ws: ws.on("framereceived", self._count))

    def _note(self, url: str) -> None:
        own = self.address.rstrip("/") + "/"
        if not url.startswith((own, own.replace("http", "ws", 1), "data:", "blob:", "about:")):
            self.outside.append(url)

    def _note_failure(self, response: Any) -> None:
        if response.status >= 400 and not PROBE.search(response.url):
            self.complaints.append(f"{response.status} {response.url}")

    def _note_error(self, message: Any) -> None:
        if message.type == "error" and not PROBE.search(message.location["url"]):
            self.complaints.append(f"{message.text} {message.location['url']}")

    def _note_dialog(self, dialog: Any) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _count(self, frame: Any) -> None:
        self.received += len(frame)

    def go(self, path: str) -> Any:
        self.page.goto(f"{self.address}{path}")
        app = self.page.locator("[data-testid=stApp][data-test-connection-state=CONNECTED]")
        app.wait_for(timeout=60_000)
        self.page.locator("[data-test-script-state=notRunning]").wait_for(timeout=60_000)
        return self.page


def stand_still(page: Any) -> None:
    """Wait until a page is not being drawn."""
    page.locator(STILL).wait_for()


@contextmanager
def drawn_again(page: Any) -> Iterator[None]:
    """Wait until a page has been drawn again because of what a block does to it."""
    stand_still(page)
    page.evaluate(LISTEN)
    yield
    page.wait_for_function("() => window.drawnAgain")


@contextmanager
def visiting(chromium: Any, address: str, **options: Any) -> Iterator[Visit]:
    """A fresh visitor, whose every request stays on this machine and who has nothing to say."""
    size = {"width": 1280, "height": 900}
    context = chromium.new_context(**{"viewport": size, "reduced_motion": "reduce", **options})
    visitor = Visit(context.new_page(), address)
    visitor.page.set_default_timeout(30_000)
    visitor.watch()
    yield visitor
    context.close()
    assert not visitor.outside, visitor.outside
    assert not visitor.complaints, visitor.complaints
