"""What a page says when what it shows is gone: a run, a comparison, the database."""

import re

import pytest

from app.data import cached, resilient
from app.navigation import PAGES
from db.errors import DatabaseBusyError, DatabaseUnreachableError
from db.session import Database
from tests.app.shown import words


@pytest.mark.parametrize(
    ("run_id", "told"),
    [
        ("0" * 32, f"There is no run with the id {'0' * 32}: it was deleted"),
        ("<b>nonsense</b>", "There is no run with the id <b>nonsense</b>: it was deleted"),
        ("x" * 3000, f"There is no run with the id {'x' * 32}...: it was deleted"),
        ("", "This link names no run."),
    ],
)
def test_a_link_to_no_run_leads_home(open_page, run_id, told):
    page = open_page("run", id=run_id)
    assert "No such run" in words(page)
    assert told in words(page)
    assert page.get("page_link")[0].proto.label == "All runs"


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("fairness", {"runs": "deleted"}),
        ("tradeoff", {"runs": "deleted"}),
        ("tradeoff", {"protocol": "nonsense"}),
        ("tradeoff", {"point": "nonsense"}),
    ],
)
def test_a_comparison_of_what_is_gone_says_so(studio, open_page, name, query):
    studio.finished()
    assert "link_off" in words(open_page(name, **query))


def test_a_comparison_of_deleted_runs_alone_leads_home(studio, open_page):
    studio.finished()
    links = open_page("fairness", runs="deleted").get("page_link")
    assert [link.proto.label for link in links] == ["All runs"]


def test_every_page_tells_in_one_line_that_the_database_is_gone(open_page, monkeypatch):
    def gone(database):
        raise DatabaseUnreachableError("cannot use the database at x: no route")

    monkeypatch.setattr(Database, "read", gone)
    page = open_page("run", id="0" * 32)
    asks_nothing = ("/theory", "/system", "/data", "/audit")
    for file in (page.file for page in PAGES if page.path not in asks_nothing):
        page = page.switch_page(file).run()
        assert not page.exception, file
        assert "cannot use the database at x" in page.error[0].value.replace("\\", ""), file
        assert "Nothing was changed" in words(page)


@pytest.mark.parametrize(
    ("error", "told"),
    [(DatabaseBusyError, "Database busy"), (DatabaseUnreachableError, "Database unreachable")],
)
def test_while_the_database_is_away_the_last_good_data_stay_with_their_time(
    studio, open_page, monkeypatch, error, told
):
    def gone():
        raise error("locked")

    studio.finished("Done")
    page = open_page("runs")
    assert "showing data from" not in words(page)
    with monkeypatch.context() as patch:
        patch.setattr(cached, "database", gone)
        cached.forget_runs()
        page.run()
        assert re.search(rf"{told}, showing data from \d\d:\d\d:\d\d", words(page))
        assert not page.exception
        assert not page.error
        assert list(page.dataframe[0].value["name"]) == ["Done"]
    resilient._memory().asked_at = 0
    page.run()
    assert "showing data from" not in words(page)
