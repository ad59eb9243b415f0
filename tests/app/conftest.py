"""An installation for one test, its pages, and a visitor in a real browser."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from playwright.sync_api import sync_playwright
from streamlit.testing.v1 import AppTest

from app.cli.main import main
from db.session import Database
from tasks import settings as tasks_settings
from tests.app.browser import Visit, served, visiting
from tests.app.proxy import PUBLIC_NAME
from tests.app.studio import Studio

MAIN = Path(__file__).parents[2] / "app" / "main.py"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    f"--host-resolver-rules=MAP {PUBLIC_NAME} 127.0.0.1",
]


@pytest.fixture
def studio(
    sqlite_database: Database, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Studio]:
    """An installation without runs, whose broker does not answer."""
    monkeypatch.setenv("CAAT_DATA_DIR", str(data_dir))
    monkeypatch.delenv("CAAT_DATABASE_URL", raising=False)
    silence(monkeypatch)
    forget()
    yield Studio(sqlite_database)
    tasks_settings.open_database().dispose()
    forget()


def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody look for a broker."""
    monkeypatch.setattr("tasks.queue.submit.send_messages", lambda database: True)
    monkeypatch.setattr("tasks.commands.send_messages", lambda database: True)
    monkeypatch.setattr("tasks.jobs.send_messages", lambda database: True)
    monkeypatch.setattr("tasks.study.send_messages", lambda database: True)


def forget() -> None:
    """Forget the settings in force, the database and everything that was read from it."""
    tasks_settings.settings.cache_clear()
    tasks_settings._database.cache_clear()
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def open_page(studio: Studio) -> Callable[..., AppTest]:
    """Open a page of the dashboard, as its link would: file and query parameters."""

    def opened(path: str, **query: str) -> AppTest:
        page = AppTest.from_file(str(MAIN), default_timeout=30)
        if path != "runs":
            page = page.run().switch_page(f"views/{path}.py")
        for name, value in query.items():
            page.query_params[name] = value
        return checked(page.run())

    return opened


def checked(page: AppTest) -> AppTest:
    assert not page.exception, page.exception[0].value
    assert not any("deprecated" in warning.value for warning in page.warning)
    return page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real browser; where there is none its tests are left out, except in CI."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "needs a Chromium (Debian: apt-get install chromium)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def server(studio: Studio, data_dir: Path) -> Iterator[str]:
    """A dashboard of its own on a free port; gives its address."""
    with served(MAIN, data_dir) as address:
        yield address


@pytest.fixture
def visit(chromium: Any, server: str) -> Iterator[Visit]:
    with visiting(chromium, server) as visitor:
        yield visitor


@pytest.fixture
def caat(monkeypatch, capsys):
    """Run a command; return its exit code, output and complaints."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["caat", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run
