"""Where and when a run is done: asked for at its launch, told on its page, changed there."""

from db.models import RunStatus
from db.reads import queries


def read(studio, run_id: str):
    with studio.database.read() as session:
        return queries.get_run(session, run_id)


def the_run(studio):
    (row,) = studio.runs()
    return read(studio, row.id)


def shown(page) -> str:
    told = [element.value for element in [*page.caption, *page.warning, *page.error]]
    return " ".join(told).replace("\\", "")


def test_a_launch_asks_for_a_queue_a_priority_and_memory(studio, open_page):
    page = open_page("new_run")
    assert page.selectbox(key="launch-queue").options == ["default", "cpu", "gpu"]
    page.selectbox(key="launch-queue").select("gpu").run()
    page.selectbox(key="launch-priority").select(9).run()
    page.text_input(key="launch-memory").input("8GiB").run()
    page.button(key="launch").click().run()
    assert not page.exception
    run = the_run(studio)
    assert (run.queue, run.priority, run.memory_needed) == ("gpu", 9, 8 * 2**30)
    assert run.owner


def test_the_same_in_another_place_is_another_launch(studio, open_page):
    page = open_page("new_run")
    page.button(key="launch").click().run()
    page.selectbox(key="launch-queue").select("gpu").run()
    page.button(key="launch").click().run()
    assert sorted(read(studio, run.id).queue for run in studio.runs()) == ["default", "gpu"]


def test_a_study_goes_to_its_place_as_a_whole(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="scenario.num_seeds").input("2").run()
    page.selectbox(key="launch-priority").select(2).run()
    page.button(key="launch").click().run()
    assert [read(studio, run.id).priority for run in studio.runs()] == [2, 2]


def test_memory_that_is_no_size_is_told_and_queues_nothing(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="launch-memory").input("lots").run()
    assert "memory: 'lots' is no size; write it like 10GiB" in shown(page)
    page.button(key="launch").click().run()
    assert "Nothing was queued." in shown(page)
    assert studio.runs() == []


def test_the_page_of_a_waiting_run_says_what_it_waits_for_and_moves_it(studio, open_page):
    page = open_page("new_run")
    page.selectbox(key="launch-queue").select("gpu").run()
    page.button(key="launch").click().run()
    run = the_run(studio)
    page = open_page("run", id=run.id, tab="Setup")
    assert "Waits for a worker: none is running" in shown(page)
    assert "In queue gpu, priority 5" in shown(page)
    assert page.button(key="place").disabled
    page.selectbox(key=f"place-{run.id}-queue").select("cpu").run()
    page.text_input(key=f"place-{run.id}-memory").input("2 GiB").run()
    page.button(key="place").click().run()
    assert not page.exception
    run = the_run(studio)
    assert (run.queue, run.memory_needed, run.status) == ("cpu", 2 * 2**30, RunStatus.QUEUED)


def test_a_run_that_is_over_for_good_has_no_fields_for_its_place(studio, open_page):
    run_id = studio.finished()
    page = open_page("run", id=run_id, tab="Setup")
    assert "In queue default, priority 5" in shown(page)
    assert "place" not in [button.key for button in page.button]
    assert not [box for box in page.selectbox if str(box.key).startswith("place-")]
