"""Two people who press buttons of one run never lead it along an edge that is not legal."""

from itertools import pairwise

import pytest

from db import queries
from db.edges import LEGAL_EDGES
from db.models import RunStatus


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
