"""Every page in every state, on both databases; a warning that something will go is an error."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.navigation import PAGES
from app.run_tabs.tabs import TABS
from db.session import Database
from tasks.settings import open_database
from tests.app.conftest import MAIN, checked, forget, silence
from tests.app.studio import Studio

EVERY = {page.title: (page.file, {}) for page in PAGES if page.path != "/run"}
OF_A_RUN = {f"Run: {tab}": ("views/run.py", {"tab": tab}) for tab in TABS}


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(
    request: pytest.FixtureRequest, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Studio]:
    """An installation without runs, on each kind of database."""
    database: Database = request.getfixturevalue(f"{request.param}_database")
    url = database.url.render_as_string(hide_password=False)
    monkeypatch.setenv("CAAT_DATA_DIR", str(data_dir))
    monkeypatch.setenv("CAAT_DATABASE_URL", url)
    silence(monkeypatch)
    forget()
    yield Studio(database)
    open_database().dispose()
    forget()


def opened(file: str, query: dict[str, str]) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=60)
    if file != "views/runs.py":
        page = page.run().switch_page(file)
    for name, value in query.items():
        page.query_params[name] = value
    return checked(page.run())


MAKERS: dict[str, Callable[[Studio], Any]] = {
    "empty": lambda studio: "",
    "running": lambda studio: studio.running(epochs=2),
    "finished": lambda studio: studio.finished(epochs=2),
}


@pytest.mark.parametrize("state", MAKERS)
def test_every_page_draws_without_a_warning(anywhere, state):
    run_id = MAKERS[state](anywhere)
    for title, (file, query) in {**EVERY, **OF_A_RUN}.items():
        page = opened(file, {**query, **({"id": run_id} if title in OF_A_RUN else {})})
        said = [element.value for element in (*page.error, *page.warning)]
        unexpected = [text for text in said if "No worker is running" not in text]
        assert page.title, title
        assert not unexpected, title


def test_a_page_shows_no_docstring_and_nothing_else_that_it_was_not_told_to(tmp_path):
    (tmp_path / "page.py").write_text('NAME = 1\n"""What NAME is."""\nNAME\n')
    page = AppTest.from_file(str(tmp_path / "page.py")).run()
    assert len(page.main.children) == 0
