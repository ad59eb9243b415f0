"""A launch queues what the form says, once: a run, or methods by seeds as one study."""

import re

from app.forms.presets import PRESETS
from db.reads import queries
from tasks.queue.submit import submit


def choose(page, methods: list[str], num_seeds: int):
    page.multiselect(key="scenario.method.names").set_value(methods)
    page.text_input(key="scenario.num_seeds").input(str(num_seeds))
    return page.run()


def test_methods_times_seeds_are_launched_as_one_study(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="scenario.seed").input("7")
    page = choose(page, ["trades", "caat"], 2)
    page.text_input(key="scenario.method[trades].beta").input("3.0").run()
    for _ in range(3):
        page.button(key="launch").click().run()
    assert not page.exception
    runs = studio.runs()
    made = sorted((run.method, run.seed) for run in runs)
    assert made == [("caat", 7), ("caat", 8), ("trades", 7), ("trades", 8)]
    assert {run.study for run in runs} == {"Demo: digits, noisy labels"}
    with studio.database.read() as session:
        (trades, _) = [run.id for run in runs if run.method == "trades"]
        assert queries.get_run(session, trades).scenario["method"]["beta"] == 3.0
    assert "Open the study" in [link.proto.label for link in page.get("page_link")]


def test_a_study_whose_name_is_taken_gets_a_number(studio, open_page):
    page = choose(open_page("new_run"), ["standard"], 2)
    for _ in range(2):
        page.button(key="launch").click().run()
        page.button(key="again").click().run()
    names = {run.study for run in studio.runs()}
    assert names == {"Demo: digits, noisy labels", "Demo: digits, noisy labels 2"}


def test_launch_queues_what_the_form_says(studio, open_page):
    page = open_page("new_run")
    page.text_input(key="scenario.name").input("Mine").run()
    page.text_input(key="scenario.training.epochs").input("3").run()
    page.button(key="launch").click().run()
    assert not page.exception
    (run,) = studio.runs()
    assert (run.name, run.num_epochs, run.status) == ("Mine", 3, "queued")
    assert "Open the run" in [link.proto.label for link in page.get("page_link")]


def test_a_radius_above_1_is_launched_in_l2(studio, open_page):
    page = open_page("new_run")
    page.selectbox(key="scenario.threat.norm").select("l2").run()
    page.text_input(key="scenario.threat.epsilon").input("2").run()
    page.button(key="launch").click().run()
    assert not page.exception
    (run,) = studio.runs()
    with studio.database.read() as session:
        threat = queries.get_run(session, run.id).scenario["threat"]
    assert (threat["norm"], threat["epsilon"]) == ("l2", 2.0)


def test_a_run_of_the_authors_protocol_is_launched_by_one_choice_and_named_after_it(
    studio, open_page
):
    page = open_page("new_run")
    page.multiselect(key="scenario.method.names").set_value(["caat"]).run()
    page.selectbox(key="scenario.method[caat].protocol").select("as-released").run()
    page.button(key="launch").click().run()
    (run,) = studio.runs()
    assert run.method == "caat (as-released)"
    table = open_page("runs").dataframe[0].value
    assert table["method"].tolist() == ["caat (as-released)"]
    page = open_page("run", id=run.id)
    assert any("as\\-released" in caption.value for caption in page.caption)


def test_what_another_tab_has_just_launched_is_launched_again_only_on_purpose(studio, open_page):
    one, other = open_page("new_run"), open_page("new_run")
    one.button(key="launch").click().run()
    other.button(key="launch").click().run()
    told = other.warning[0].value
    assert re.fullmatch(r"Nothing was queued: already started \d+ s ago by another tab\.", told)
    assert len(studio.runs()) == 1
    other.button(key="insist").click().run()
    assert "Queued" in other.success[0].value
    assert not other.warning
    assert len(studio.runs()) == 2


def test_a_launch_of_the_command_line_is_not_another_tabs(studio, open_page):
    page = open_page("new_run")
    submit(PRESETS["demo"].scenario(), actor="command line")
    page.button(key="launch").click().run()
    assert not page.warning
    assert len(studio.runs()) == 2


def test_launch_pressed_three_times_makes_one_run(studio, open_page):
    page = open_page("new_run")
    for _ in range(3):
        page.button(key="launch").click().run()
    assert len(studio.runs()) == 1
    page.button(key="again").click().run()
    page.button(key="launch").click().run()
    assert len(studio.runs()) == 2


def test_a_broken_dataset_is_told_and_nothing_is_queued(studio, open_page, monkeypatch):
    from engine.errors import UserError

    def missing(*args, **kwargs):
        raise UserError("data.dataset: its files are missing")

    monkeypatch.setattr("app.new_run.launch.submit", missing)
    page = open_page("new_run")
    page.button(key="launch").click().run()
    assert "Nothing was queued" in page.error[0].value
    assert not studio.runs()


def test_weights_that_are_not_there_are_told_and_nothing_is_queued(studio, open_page):
    page = open_page("new_run", images="true")
    page.text_input(key="scenario.training.start_from").input("gone.pt").run()
    assert not page.exception
    captions = [text.value.replace("\\", "") for text in page.caption]
    assert any("as it starts. training.start_from: gone.pt cannot" in text for text in captions)
    page.button(key="launch").click().run()
    told = page.error[0].value.replace("\\", "")
    assert told.startswith("Nothing was queued. training.start_from: gone.pt cannot be read (No su")
    assert not studio.runs()
    page.text_input(key="scenario.training.start_from").input("").run()
    page.button(key="launch").click().run()
    (run,) = studio.runs()
    with studio.database.read() as session:
        assert "start_from" not in queries.get_run(session, run.id).scenario["training"]


def test_few_validation_images_are_told_beside_the_button_and_stop_nothing(studio, open_page):
    def told(page):
        return [text.value for text in page.caption if "steers by the errors on" in text.value]

    page = choose(open_page("new_run"), ["trades", "caat"], 2)
    (line,) = told(page)
    assert "caat steers by the errors on 20 validation images" in line
    rows = page.dataframe[0].value.set_index("what")["value"]
    share = rows["Meta set over training images"]
    assert share.endswith("% (6.4 % as released)")
    assert not told(choose(page, ["trades"], 2))
    page.button(key="launch").click().run()
    assert len(studio.runs()) == 2
