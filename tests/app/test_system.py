"""The page on the system's health says what the doctor finds, and what to do."""

import pytest
from streamlit.testing.v1 import AppTest

from db.errors import DatabaseUnreachableError
from tasks import doctor
from tasks.finding import Finding
from tests.app.conftest import MAIN
from tests.app.shown import words


def findings() -> dict[str, Finding]:
    return {finding.part: finding for finding in doctor.examine()}


def test_a_healthy_part_is_shown_with_what_was_seen(studio, open_page, data_dir):
    studio.report_worker()
    said = words(open_page("system"))
    assert "SQLite 3." in said
    assert "journal wal" in said
    assert "worker-1 (cuda:0, idle)" in said
    assert "checkpoints and logs" in said


def test_a_broker_that_does_not_answer_is_a_problem_with_its_cure(studio, open_page, monkeypatch):
    studio.report_worker()
    monkeypatch.setattr("tasks.queue.broker.why_down", lambda url: "no answer")
    said = words(open_page("system"))
    assert "1 of 17 checks failed: broker" in said
    assert "`caat up` starts it" in said


def test_when_all_is_well_the_page_says_so(studio, open_page, monkeypatch):
    studio.report_worker()
    monkeypatch.setattr("tasks.queue.broker.why_down", lambda url: None)
    assert "Everything is well: 17 checks passed" in words(open_page("system"))


def test_versions_and_datasets_stand_in_tables_whatever_their_sentences_say(
    studio, open_page, monkeypatch
):
    def examine(*, thorough: bool) -> list[Finding]:
        return [
            Finding(
                "versions", True, "all are new", facts={"torch": "2.13.0, cpu", "numpy": "2 b"}
            ),
            Finding("data", True, "ready", of="digits"),
            Finding("data", True, "not here", of="data of mine"),
            Finding("data", False, "Permission denied: /data"),
        ]

    monkeypatch.setattr(doctor, "examine", examine)
    page = open_page("system")
    shown, sets = (table.value.to_dict("list") for table in page.dataframe[-3:-1])
    assert shown == {"Package": ["torch", "numpy"], "Version": ["2.13.0, cpu", "2 b"]}
    assert sets == {"Dataset": ["digits", "data of mine"], "State": ["ready", "not here"]}
    said = words(page)
    assert "1 of 4 checks failed: data" in said
    assert "Permission denied" in said


def test_a_finding_lists_what_its_sentence_says(studio):
    found = doctor.examine(thorough=False)
    (versions,) = (finding for finding in found if finding.part == "versions")
    assert versions.text == ", ".join(f"{name} {value}" for name, value in versions.facts.items())
    assert {"digits", "cifar10"} <= {finding.of for finding in found if finding.part == "data"}
    told = [finding.as_json() for finding in found]
    assert {"part": "data digits", "ok": True, "text": "ready"} in told
    assert all(one.keys() == {"part", "ok", "text"} for one in told)


def test_settings_stand_with_their_source_and_without_passwords(studio, open_page, monkeypatch):
    from tasks import settings as tasks_settings

    monkeypatch.setenv("CAAT_BROKER_URL", "redis://:geheim@127.0.0.1:1/0")
    tasks_settings.settings.cache_clear()
    page = open_page("system")
    table = page.dataframe[-1].value.set_index("Variable")
    assert table.loc["CAAT_BROKER_URL", "Value"] == "redis://:***@127.0.0.1:1/0"
    assert table.loc["CAAT_BROKER_URL", "From"] == "environment"
    assert table.loc["CAAT_LEASE_SECONDS", "From"] == "default"
    assert "geheim" not in words(page)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CAAT_BROKER_URL", "amqp://caat:geheim@rabbit//"),
        ("CAAT_BROKER_URL", "sentinel://:geheim@a:1;sentinel://:geheim@b:2"),
        ("CAAT_BROKER_URL", "geheim"),
        ("CAAT_BROKER_URL", "redis://:geheim:badport"),
        ("CAAT_DATABASE_URL", "postgresql://caat:ge@heim@host/db"),
        ("CAAT_LEASE_SECONDS", "inf"),
    ],
)
def test_a_mistake_in_the_settings_is_a_finding_and_the_page_stands(
    studio, open_page, monkeypatch, variable, value
):
    from tasks import settings as tasks_settings

    monkeypatch.setenv(variable, value)
    tasks_settings.settings.cache_clear()
    page = AppTest.from_file(str(MAIN), default_timeout=30).run().switch_page("views/system.py")
    page.run()
    assert not page.exception
    said = words(page) + page.dataframe[-1].value.to_string()
    assert f"{variable}: " in said
    assert "other parts" in said
    assert "heim" not in said
    monkeypatch.delenv(variable)
    tasks_settings.settings.cache_clear()  # for the fixture, which closes the database


def test_a_page_load_reads_no_whole_database_and_a_click_does(studio, open_page):
    page = open_page("system")
    assert "no damage found" not in words(page)
    page.button(key="thorough").click().run()
    assert "no damage found" in words(page)


def test_a_database_that_is_gone_is_a_finding_and_the_page_stands(studio, open_page, monkeypatch):
    def gone():
        raise DatabaseUnreachableError("cannot use the database at x: no route")

    page = open_page("system")
    monkeypatch.setattr(doctor, "open_database", gone)
    page.button(key="again").click().run()
    assert not page.exception
    assert "cannot use the database at x" in words(page)


def test_the_data_directory_is_told_by_its_parts(studio, data_dir):
    folder = data_dir / "runs" / ("a" * 32)
    folder.mkdir(parents=True)
    (folder / "epoch-1.safetensors").write_bytes(bytes(3_000_000))
    told = findings()["files"].text
    assert told.startswith("checkpoints and logs 3.0 MB, datasets 0.0 MB")


def test_a_full_disk_is_a_problem_with_its_cure(studio, monkeypatch):
    monkeypatch.setattr(doctor, "LOW_DISK", 10**18)
    assert not findings()["disk"].ok
    assert "delete runs" in findings()["disk"].text


def tables(page) -> list[list[dict]]:
    return [table.value.to_dict("records") for table in page.dataframe]


def test_the_page_says_what_each_worker_does_with_a_link_to_its_run(studio, open_page):
    run_id = studio.running("In *work*")
    use = {"memory_total": 80 * 2**30, "memory_used": 3 * 2**30, "utilisation": 0.42}
    studio.report_worker(state="busy", run_id=run_id, **use)
    page = open_page("system")
    (worker,) = tables(page)[0]
    assert (worker["device"], worker["memory"]) == ("cuda:0 (a GPU)", "3.0 of 80.0 GiB")
    assert (worker["state"], worker["busy"]) == ("▶ busy", "42 %")
    assert worker["run"].startswith("In *work*: Epoch 4 of 30: training, step 4 of 10")
    (link,) = [link.proto for link in page.get("page_link") if link.proto.query_string]
    assert (link.label, link.query_string) == (r"In \*work\*", f"id={run_id}")
    said = words(page)
    assert "1 worker, 1 busy; 0 runs in the queue." in said
    assert "Nothing waits." in said
    assert "an epoch" in said


def test_the_page_says_what_waits_where_and_why(studio, open_page):
    studio.queued("First [x](y)")
    page = open_page("system")
    queues, waiting = tables(page)[:2]
    assert (queues[0]["Queue"], queues[0]["Waiting"], queues[0]["Workers"]) == ("default", 1, 0)
    (run,) = waiting
    assert (run["Run"], run["Queue"], run["Priority"]) == ("First [x](y)", "default", 5)
    assert run["Why"] == "Waits for a worker: none is running"
    assert "No worker is running and 1 run waits" in words(page)


def test_of_many_runs_the_page_shows_the_first_and_how_many_more_there_are(
    studio, open_page, monkeypatch
):
    monkeypatch.setattr("app.components.activity.MOST_LINKS", 1)
    for name in ("One", "Two", "Three"):
        studio.running(name)
    for _ in range(22):
        studio.queued()
    page = open_page("system")
    said = words(page)
    assert len([link for link in page.get("page_link") if link.proto.query_string]) == 1
    assert said.count("and 2 more runs") == 2


def test_a_worker_that_says_nothing_of_its_device_has_dashes(studio, open_page):
    studio.report_worker()
    (worker,) = tables(open_page("system"))[0]
    assert worker["memory"] == worker["busy"] == worker["run"] == "–"  # noqa: RUF001
