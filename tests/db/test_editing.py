"""A run's name, tags and notes change at any time; two people at once lose nothing."""

import pytest

from db.reads import listing, queries
from db.writes import deletion, editing, transitions
from db.writes.editing import MOST_TAGS, Change, Edit


def edited(database, run_id, **wanted):
    with database.write() as session:
        return editing.edit(session, run_id, "me", wanted=Edit(**wanted))


def run_of(database, run_id):
    with database.read() as session:
        return queries.get_run(session, run_id)


def test_an_edit_is_told_in_the_history_and_changes_no_status(database, running):
    run_id, _ = running(database)
    edited(database, run_id, name=Change("New"), add=("b", "a"), notes=Change("*why*"))
    run = run_of(database, run_id)
    assert (run.name, run.tags, run.notes, run.status) == ("New", ("a", "b"), "*why*", "running")
    with database.read() as session:
        last = queries.events(session, run_id)[-1]
    assert last.message == "Renamed from 'digits, noisy' to 'New'; Tags +b, +a; Notes written"
    assert (last.actor, last.from_status, last.to_status) == ("me", "running", "running")


def test_what_stands_there_already_is_no_news(database, queued):
    run_id = queued(database)
    edited(database, run_id, add=("a",))
    with database.read() as session:
        before = len(queries.events(session, run_id))
    assert edited(database, run_id, add=("a",), remove=("b",)).done == ""
    with database.read() as session:
        assert len(queries.events(session, run_id)) == before


@pytest.mark.parametrize(("field", "old"), [("name", "digits, noisy"), ("notes", "")])
def test_the_later_of_two_sees_what_the_earlier_wrote_and_nothing_is_lost(
    database, queued, field, old
):
    run_id = queued(database)
    assert edited(database, run_id, **{field: Change("first", old)}).done
    later = edited(database, run_id, **{field: Change("second", old)}, add=("tag",))
    assert later.stands == (field, "first")
    assert (getattr(run_of(database, run_id), field), run_of(database, run_id).tags) == (
        "first",
        (),
    )
    assert edited(database, run_id, **{field: Change("second", "first")}).done
    assert getattr(run_of(database, run_id), field) == "second"


def test_two_who_change_different_things_both_get_them(database, queued):
    run_id = queued(database)
    edited(database, run_id, add=("mine",), name=Change("New", "digits, noisy"))
    edited(database, run_id, add=("yours",), notes=Change("Why", ""))
    run = run_of(database, run_id)
    assert (run.name, run.notes, run.tags) == ("New", "Why", ("mine", "yours"))


def test_a_run_has_only_so_many_tags(database, queued):
    run_id = queued(database)
    edited(database, run_id, add=tuple(map(str, range(MOST_TAGS))))
    assert edited(database, run_id, add=("more",)).too_many
    assert edited(database, run_id, add=("more",), remove=("0",)).done


def test_a_run_that_is_gone_or_going_is_not_edited(database, queued):
    assert edited(database, "none", name=Change("x")).gone
    run_id = queued(database)
    with database.write() as session:
        transitions.request_stop(session, run_id, "me")
        deletion.start_deletion(session, run_id, "me")
    assert edited(database, run_id, add=("x",)).gone


def test_a_remark_on_a_finished_run_is_no_newer_result(database, running):
    done = []
    for name in ("one", "two"):
        run_id, attempt = running(database, name=name)
        with database.write() as session:
            transitions.finish(session, run_id, attempt, status="succeeded")
        done.append(run_id)
    edited(database, done[0], add=("x",))
    with database.read() as session:
        assert listing.overview(session).newest_result.id == done[1]


def test_a_saved_view_has_a_name_of_its_own(database):
    with database.write() as session:
        assert editing.save_view(session, "mine", "q=a")
        assert not editing.save_view(session, "mine", "q=b")
        assert editing.save_view(session, "yours", "q=c")
        assert not editing.rename_view(session, "mine", "yours")
        assert not editing.rename_view(session, "none", "new")
        assert editing.rename_view(session, "mine", "<b>, 🎉")
        editing.delete_view(session, "yours")
        assert editing.views(session) == {"<b>, 🎉": "q=a"}
