"""Finding and organising many runs: order, search, columns, tags, views, and all that match."""

import pytest

from app.data import cached
from app.runs import bulk
from db.models import USER
from db.reads import queries
from tasks import editing
from tests.app.shown import words

HOSTILE = ("<script>alert(1)</script>", "a, b", "🎉", "ünï*cödé*", "x" * 60)


def names(page) -> list[str]:
    return list(page.dataframe[0].value["name"])


def shown_columns(page) -> list[str]:
    return list(page.dataframe[0].proto.column_order)


def test_a_column_sorts_all_runs_and_not_those_of_a_page_alone(studio, open_page):
    for number in range(cached.RUNS_A_PAGE + 2):
        studio.queued(f"Run {number:02}", seed=number)
    page = open_page("runs", sort="Seed", way="up")
    assert names(page)[:2] == ["Run 00", "Run 01"]
    assert names(open_page("runs", sort="Name"))[0] == "Run 51"
    assert "by seed" in words(page)


def test_a_new_search_starts_at_page_one_and_a_number_finds_no_id(studio, open_page):
    for number in range(cached.RUNS_A_PAGE + 2):
        studio.queued(f"setting {number}")
    page = open_page("runs", page="2")
    assert names(page) == ["setting 1", "setting 0"]
    page.text_input(key="q").set_value("setting 3").run()
    assert names(page) == ["setting 3"]


def test_columns_stand_in_the_link_and_empty_ones_are_left_out(studio, open_page):
    studio.finished("Done")
    usual = shown_columns(open_page("runs"))
    assert {"seed", "created", "robust_error"} <= set(usual)
    assert {"tags", "time_left"}.isdisjoint(usual)
    chosen = shown_columns(open_page("runs", columns=["Name", "Worst natural", "Notes"]))
    assert chosen == ["name", "worst_natural_error"]


@pytest.mark.parametrize("column", ["nothing", "<script>", ""])
def test_a_link_that_names_no_column_or_order_is_shown_as_usual(studio, open_page, column):
    studio.queued("Here")
    assert names(open_page("runs", sort=column, columns=column, way=column, group=column))


def test_hostile_tags_and_notes_are_shown_as_they_are_and_narrow_the_list(studio, open_page):
    run_id = studio.finished("Tagged")
    studio.queued("Other")
    editing.tag_runs([run_id], "me", add=HOSTILE)
    notes = "# Why\n![](http://example.com/x.png) <img src=x onerror=alert(1)>"
    editing.edit_run(run_id, "me", editing.Edit(notes=editing.Change(notes)))
    cached.forget_runs()
    assert names(open_page("runs", tag="a, b")) == ["Tagged"]
    page = open_page("runs")
    assert set(page.dataframe[0].value["tags"][1]) == set(HOSTILE)
    run = open_page("run", id=run_id)
    told = "\n".join(element.value for element in run.markdown)
    assert "![](" not in told
    assert not any(element.allow_html for element in run.markdown if "img" in element.value)


def test_a_thousand_tags_can_be_chosen_from(studio, open_page):
    ids = [studio.queued(f"Run {number}") for number in range(20)]
    for place, run_id in enumerate(ids):
        tags = [f"tag {50 * place + number}" for number in range(50)]
        editing.tag_runs([run_id], "me", add=tags)
    cached.forget_runs()
    page = open_page("runs", tag="tag 999")
    assert names(page) == ["Run 19"]
    assert len(page.multiselect(key="tag").options) == 1_000


def test_runs_are_put_together_by_what_they_share(studio, open_page):
    for name in ("One", "Two"):
        editing.tag_runs([studio.finished(name)], "me", add=["a", "b"])
    cached.forget_runs()
    for by, keys in {"method": ["caat"], "tag": ["a", "b"], "scenario": None}.items():
        table = open_page("runs", group=by).dataframe[1].value
        assert keys is None or table[by.capitalize()].tolist() == keys
        assert table["Runs"].tolist() == [2] * len(table)
        assert table["Robust error"].tolist() == pytest.approx([30.0] * len(table))


def test_all_that_match_are_selected_and_their_number_is_said_before_anything_is_done(
    studio, open_page
):
    for number in range(bulk.MANY + 1):
        studio.queued(f"setting {number}")
    studio.queued("Other")
    page = open_page("runs", q="setting")
    assert "Select all 101" in [button.label for button in page.button]
    page.button(key="every").click().run()
    assert "101 runs selected" in words(page)
    page.button(key="bulk-Stop").click().run()
    assert "These are more than 100 runs" in words(page)
    assert {run.status for run in studio.runs()} == {"queued"}
    page.button(key="confirm-yes").click().run()
    told = {run.name: run.status for run in studio.runs()}
    assert told.pop("Other") == "queued"
    assert set(told.values()) == {"cancelled"}


def test_many_runs_are_tagged_evaluated_and_added_to_a_study_run_by_run(studio):
    ids = [studio.finished("One"), studio.queued("Two")]
    assert editing.tag_runs([*ids, "gone"], "me", add=["new"]) == "2 of 3 runs tagged otherwise"
    assert bulk.bulk.add_to_study(ids, " my study ") == (
        "2 of 2 runs added to the study 'my study'"
    )
    with studio.database.read() as session:
        where = [queries.of_study("my study")]
        assert {run.id for run in queries.list_runs(session, where=where)} == set(ids)
    told = bulk.bulk.evaluate(ids, "me", attack="pgd")
    assert told.count("Refused") == 2  # no checkpoint; not finished
    table = bulk._as_csv(tuple(ids)).decode()
    assert table.splitlines()[0].startswith("run_id,status,name")
    assert len(table.splitlines()) == 3


def test_a_view_is_saved_opened_by_its_link_renamed_and_forgotten(studio, open_page):
    studio.queued("Here")
    page = open_page("runs", q="imbalance 10", tag="<b>")
    page.text_input(key="view-name").set_value("Mine, <b>").run()
    page.button(key="view-save").click().run()
    (name,) = editing.views()
    assert name == "Mine, <b>"
    links = {link.proto.label: link.proto.query_string for link in page.get("page_link")}
    (query,) = [query for label, query in links.items() if "Mine" in label]
    assert "imbalance" in query
    page.text_input(key="view-new-name").set_value("Other").run()
    page.button(key="view-rename").click().run()
    assert list(editing.views()) == ["Other"]
    page.button(key="view-delete").click().run()
    assert editing.views() == {}


def test_a_run_is_renamed_in_its_dialog_and_the_later_of_two_tabs_sees_the_earlier(
    studio, open_page
):
    run_id = studio.finished("Before")
    page = open_page("run", id=run_id)
    page.button(key="header-edit").click().run()
    editing.edit_run(run_id, "other", editing.Edit(name=editing.Change("Theirs"), add=("t",)))
    page.text_input(key=f"edit-{run_id}-name").set_value("Mine")
    page.button(key=f"edit-{run_id}-yes").click().run()
    assert "somebody changed it meanwhile, to 'Theirs'" in words(page)
    with studio.database.read() as session:
        assert queries.get_run(session, run_id).name == "Theirs"
    page.button(key=f"edit-{run_id}-yes").click().run()
    with studio.database.read() as session:
        run, last = queries.get_run(session, run_id), queries.events(session, run_id)[-1]
    assert (run.name, run.tags) == ("Mine", ("t",))
    assert (last.reason, last.message) == (USER, "Renamed from 'Theirs' to 'Mine'")
