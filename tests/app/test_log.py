"""What happened to a run: its events, its attempts and its log, while it trains and afterwards."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from app.data import cached
from app.text.format import now
from db.models import Attempt, RunStatus
from db.reads import queries
from db.writes import transitions
from tasks.recording import run_log
from tests.app.shown import words


@pytest.fixture
def write_log(studio, data_dir):
    def write(run_id: str, text: str) -> None:
        folder = data_dir / "runs" / run_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log.txt").write_bytes(text.encode())

    return write


def resumed(studio) -> str:
    """A run that lost its first attempt after three epochs, and has just begun its second."""
    run_id = studio.running("Twice", 3, training={"epochs": 10})
    lose(studio, run_id, 1)
    with studio.database.write() as session:
        transitions.claim(session, run_id, studio.worker, lease_seconds=3600)
    return run_id


def lose(studio, run_id: str, attempt: int) -> None:
    """Queue a run again whose worker went away in the epoch after its third."""
    message = "Interrupted at epoch 4: worker-1 is gone"
    with studio.database.write() as session:
        transitions.interrupt(
            session, run_id, attempt, reason="lost", message=message, actor="reconciler"
        )
        transitions.requeue(session, run_id, "reconciler", reason="retry")


def test_the_tab_tells_each_change_with_who_made_it_and_why(studio, open_page):
    page = open_page("run", id=resumed(studio), tab="Log")
    events, attempts = (page.dataframe[place].value for place in (0, 1))
    assert events["change"].tolist() == [
        "○ Queued",
        "○ Queued → ▶ Running",
        "▶ Running → ▲ Interrupted",
        "▲ Interrupted → ○ Queued",
        "○ Queued → ▶ Running",
    ]
    assert events["by"].tolist() == ["test", "worker-1", "reconciler", "reconciler", "worker-1"]
    assert events["reason"].tolist()[2:4] == ["worker or trainer is gone", "tried again by itself"]
    assert events["message"].tolist()[2] == "Interrupted at epoch 4: worker-1 is gone"
    assert attempts["outcome"].tolist() == ["worker or trainer is gone", "at work"]
    assert attempts["epoch"].tolist() == [4, 0]


def test_the_header_of_a_resumed_run_says_where_it_goes_on_and_what_happened(studio, open_page):
    said = words(open_page("run", id=resumed(studio)))
    assert "Attempt 2, on from epoch 4. Interrupted at epoch 4: worker-1 is gone." in said


def test_the_header_of_a_run_queued_again_names_the_attempt_that_comes(studio, open_page):
    run_id = resumed(studio)
    page = open_page("run", id=run_id, tab="Setup")
    for attempt in (2, 3, 4):
        lose(studio, run_id, attempt)
        cached.forget_runs()
        assert f"Attempt {attempt + 1}, on from epoch 4. Interrupted" in words(page.run())
        with studio.database.write() as session:
            transitions.claim(session, run_id, studio.worker, lease_seconds=3600)
        cached.forget_runs()
        assert f"Attempt {attempt + 1}, on from epoch 4. Interrupted" in words(page.run())


def test_the_time_left_after_a_resume_comes_from_the_attempt_in_work(studio):
    run_id = resumed(studio)
    with studio.database.write() as session:
        earlier = {1: now() - timedelta(hours=9), 2: now() - timedelta(minutes=1)}
        for number, moment in earlier.items():
            mine = (Attempt.run_id == run_id, Attempt.number == number)
            session.execute(update(Attempt).where(*mine).values(started_at=moment))
    with studio.database.read() as session:
        run = queries.get_run(session, run_id)
    assert (run.epochs_before, run.attempt_started_at) == (3, earlier[2])
    studio.record_epoch(run_id, 4, attempt=2)
    with studio.database.read() as session:
        (row,) = queries.list_runs(session)
    assert (row.epoch, row.epochs_before) == (4, 3)


def test_the_end_of_the_log_is_shown_letter_by_letter(studio, open_page, write_log):
    run_id = studio.failed("Broken", "why")
    write_log(run_id, "first\n<script>alert(1)</script> **bold**\n")
    page = open_page("run", id=run_id, tab="Log")
    assert page.code[0].value == "first\n<script>alert(1)</script> **bold**"
    assert "All of it: 2 lines, 0.0 kB" in words(page)
    assert page.get("download_button")[-1].proto.label == "Download the whole log"


def test_a_run_whose_log_is_elsewhere_says_where_it_was_trained(studio, open_page):
    page = open_page("run", id=studio.finished(), tab="Log")
    texts = [element.value for element in page.text]
    assert texts == ["No log file. It is not on this machine; the run was trained on lab-01."]


@pytest.mark.parametrize(
    ("lines", "first", "is_whole"),
    [(200, 0, True), (201, 1, False), (100_000, 100_000 - 200, False)],
)
def test_of_a_long_log_the_last_200_lines_are_read(studio, write_log, lines, first, is_whole):
    write_log("a" * 32, "".join(f"line {number}\n" for number in range(lines)))
    found = run_log.tail("a" * 32)
    shown = found.text.splitlines()
    assert (shown[0], shown[-1]) == (f"line {first}", f"line {lines - 1}")
    assert found.is_whole is is_whole
    assert len(run_log.whole("a" * 32)) == found.size


def test_of_lines_without_end_the_last_64_kilobytes_are_read(studio, write_log):
    write_log("b" * 32, "x" * 500_000 + "\n" + "é" * 40_000)
    found = run_log.tail("b" * 32)
    assert len(found.text) <= run_log.MAX_BYTES
    assert not found.is_whole


def test_a_run_that_ended_in_its_first_attempt_says_nothing_of_attempts(studio, open_page):
    run_id = studio.finished()
    assert studio.status(run_id) == RunStatus.SUCCEEDED
    assert "Attempt " not in words(open_page("run", id=run_id))
