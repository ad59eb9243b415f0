"""Two people who press buttons of one run never lead it along an edge that is not legal."""

from itertools import pairwise
from typing import Any

import pytest

from db.models import RunStatus
from db.reads import queries
from db.writes.state_machine import LEGAL_EDGES
from tests.app.browser import visiting, wait_for


@pytest.mark.parametrize("state", ["queued", "running"])
def test_two_answers_to_one_question_change_a_run_once(studio, open_page, state):
    run_id = getattr(studio, state)("Shared")
    visitors = [open_page("run", id=run_id, tab="Setup") for _ in range(2)]
    ends = "cancelled" if state == "queued" else "stopping"
    for page in visitors:
        page.button(key="header-stop").click().run()
    for page in visitors:  # the second one answers a question that is settled by then
        page.button(key="confirm-yes").click().run()
        assert not page.exception
        assert studio.status(run_id) == ends
    assert len(moves(studio, run_id)) == {"queued": 1, "running": 2}[state]


def test_stop_and_resume_against_each_other_keep_to_the_legal_edges(studio, open_page):
    run_id = studio.queued("Shared")
    first, second = (open_page("run", id=run_id, tab="Setup") for _ in range(2))
    for _ in range(2):
        first.button(key="header-stop").click().run()
        second.run()
        second.button(key="header-stop").click().run()
        first.button(key="confirm-yes").click().run()
        first.run()
        first.button(key="header-resume").click().run()
        first.button(key="confirm-yes").click().run()
        assert studio.status(run_id) == "queued"
        second.button(key="confirm-yes").click().run()  # an old question about a queued run
        assert studio.status(run_id) == "cancelled"
        second.run()
        second.button(key="header-resume").click().run()
        second.button(key="confirm-yes").click().run()
        first.run()
    told = moves(studio, run_id)
    assert all(target in LEGAL_EDGES[source] for source, target in told)
    assert all(before[1] == after[0] for before, after in pairwise(told))
    assert len(told) == 8


def moves(studio, run_id) -> list[tuple[RunStatus, RunStatus]]:
    """Return a run's changes of status after it was made."""
    with studio.database.read() as session:
        events = queries.events(session, run_id)
    pairs = [(event.from_status, event.to_status) for event in events[1:]]
    return [(RunStatus(source), RunStatus(target)) for source, target in pairs]


def test_two_browsers_that_stop_and_resume_one_run_agree_on_where_it_stands(
    studio, visit, chromium, server
):
    run_id = studio.queued("Shared")
    link = f"/run?id={run_id}&tab=Live"
    first = visit.go(link)
    with visiting(chromium, server) as other:
        second = other.go(link)
        for one, two in ((first, second), (second, first)):
            press(one, "stop")
            wait_for(lambda: studio.status(run_id) == "cancelled", 10)
            button(two, "resume").wait_for()  # it learns of it by itself
            press(two, "resume")
            wait_for(lambda: studio.status(run_id) == "queued", 10)
            button(one, "stop").wait_for()
        for page in (first, second):  # both are asked before either answers
            button(page, "stop").click()
            page.locator(".st-key-confirm-yes button").wait_for()
        for page in (first, second):
            page.locator(".st-key-confirm-yes button").click()
            page.get_by_role("dialog").wait_for(state="hidden")
        button(first, "resume").wait_for()
        button(second, "resume").wait_for()
    told = moves(studio, run_id)
    assert all(target in LEGAL_EDGES[source] for source, target in told)
    assert len(told) == 5


def button(page: Any, action: str) -> Any:
    return page.locator(f".st-key-header-{action} button")


def press(page: Any, action: str) -> None:
    button(page, action).click()
    page.locator(".st-key-confirm-yes button").click()
    page.get_by_role("dialog").wait_for(state="hidden")
