from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text import format, labels, markdown
from db.models import RunStatus
from db.reads.rows import LOST


def test_every_status_has_words_a_symbol_and_an_icon():
    assert set(labels.STATUSES) == {*RunStatus, LOST}
    assert len({labels.tagged(name) for name in labels.STATUSES}) == len(labels.STATUSES)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.4, "59 s"), (61, "1 min 1 s"), (3000, "50 min"), (7500, "2 h 5 min")],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds, said):
    assert format.duration(seconds) == said


def test_percent_of_no_number_is_a_dash():
    assert format.percent(None) == format.percent(float("nan")) == format.NOTHING
    assert format.percent(0.6734) == "67.3 %"


@given(st.text(max_size=60))
def test_a_literal_text_leaves_no_markdown_character_bare(text):
    escaped = markdown.literal(text)
    bare = escaped.replace("\\\\", "")
    for position, character in enumerate(bare):
        if character in "*_`[]<$:#|":
            assert bare[position - 1] == "\\"


def test_a_literal_text_breaks_icon_codes():
    assert ":material/delete:" not in markdown.literal(":material/delete:").replace("\\", "")


def test_commands_between_backticks_stay_commands_and_the_rest_stays_literal():
    assert markdown.explained("no *tables*: run `caat db upgrade`") == (
        "no \\*tables\\*\\: run `caat db upgrade`"
    )
    assert markdown.explained("an `unpaired mark") == markdown.literal("an `unpaired mark")


def test_time_left_follows_the_pace_so_far():
    started = datetime.now(UTC) - timedelta(seconds=60)
    assert format.eta_seconds(started, 0.5) == pytest.approx(60, abs=1)
    assert format.eta_seconds(started, 0.0) is None
    assert format.eta_seconds(None, 0.5) is None


def test_time_left_after_a_resume_follows_the_pace_of_the_new_attempt():
    started = datetime.now(UTC) - timedelta(seconds=60)
    assert format.eta_seconds(started, 0.9, before=0.8) == pytest.approx(60, abs=1)
    assert format.eta_seconds(started, 0.801, before=0.8) is None


@pytest.mark.parametrize(("progress", "before"), [(0, 0), (0.8, 0.8), (0.803, 0.8), (1, 1)])
def test_no_time_left_is_said_of_an_attempt_that_has_done_next_to_nothing_or_has_nothing_to_do(
    progress, before
):
    assert format.eta_seconds(datetime.now(UTC), progress, before) is None


def test_a_worker_is_said_to_be_cut_off_once_its_lease_was_not_renewed_for_fifteen_seconds():
    assert [labels.cut_off(silent, 60) for silent in (0, 14)] == ["", ""]
    assert labels.cut_off(15, 60) == "Worker cannot reach the database"
    assert labels.cut_off(4, 8) == "Worker cannot reach the database"
    assert labels.cut_off(100, 600) == ""  # it renews its lease that rarely


def test_an_attempt_is_said_to_hang_after_ten_minutes():
    assert [labels.stalled(seconds) for seconds in (None, 0, 599)] == ["", "", ""]
    assert labels.stalled(600) == "no progress for 10 min"
    assert labels.stalled(7200) == "no progress for 2 h 0 min"
