"""What the environment says is checked setting by setting; a mistake is one line, wherever."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.cli.main import main
from app.server.dashboard import dashboard_address
from db.errors import SchemaNewerError
from db.migrate import head_revision
from db.session import Database
from db.settings import read_settings
from engine.errors import UserError
from tasks import doctor
from tasks.settings import Settings, open_database
from tests.tasks.environment import forget, mistakes

pytestmark = pytest.mark.usefixtures("no_settings_from_outside")

NUMBERS = [
    *("lease_seconds", "heartbeat_seconds", "sweep_seconds", "resend_after_seconds"),
    *("stop_grace_seconds", "retry_after_seconds", "max_lost_attempts"),
]
WRONG = {
    "CAAT_LEASE_SECONDS": "abc",
    "CAAT_HEARTBEAT_SECONDS": "nan",
    "CAAT_MAX_LOST_ATTEMPTS": "2.5",
    "CAAT_DASHBOARD_PUBLIC": "perhaps",
    "CAAT_DASHBOARD_ADDRESS": "http://localhost:8501/",
    "CAAT_DEVICE": "gpu0",
    "CAAT_DATA_DIR": "/etc/passwd/data",
    "CAAT_BROKER_URL": "amqp://caat:hunter2@rabbit//",
    "CAAT_DATABASE_URL": "postgresql://caat:hunt@er2@host/db",
    "CAAT_BROKER_PASSWORD_FILE": "hunter2",
    "CAAT_RING_AGAIN_SECONDS": "hunter2",
}


# -- each setting by itself


@pytest.mark.parametrize("name", NUMBERS)
@given(value=st.floats().filter(lambda v: not 0 <= v <= 1e6) | st.text("abc-+.,", min_size=1))
def test_a_number_that_makes_no_sense_is_named_with_what_is_allowed(name, value):
    variable = f"CAAT_{name.upper()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, str(value))
        (told,) = mistakes()
    assert told.startswith(f"{variable}: {str(value)!r} must be a ")
    assert re.search(r"number from [0-9.]+ to [0-9,]+$", told)


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_that_is_taken_is_finite(name, monkeypatch):
    assert math.isfinite(getattr(read_settings(Settings), name))


def test_all_mistakes_are_told_at_once_and_none_shows_a_secret(monkeypatch):
    for name, value in WRONG.items():
        monkeypatch.setenv(name, value)
    told = mistakes()
    alone = {name for name in WRONG if not name.endswith("_FILE")}
    assert {line.partition(":")[0] for line in told} == alone
    assert "er2" not in "".join(told)


def test_a_heartbeat_must_fit_twice_into_the_lease(monkeypatch):
    monkeypatch.setenv("CAAT_HEARTBEAT_SECONDS", "31")
    assert mistakes()[0].startswith("CAAT_HEARTBEAT_SECONDS: 31 must be at most half of")
    monkeypatch.setenv("CAAT_LEASE_SECONDS", "62")
    assert read_settings(Settings).heartbeat_seconds == 31


@pytest.mark.parametrize("kind", ["file", "below a file", "dead link", "no user"])
def test_a_data_directory_that_can_be_none_is_told(kind, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dead link").symlink_to(tmp_path / "gone")
    path = {"below a file": "file/data", "no user": "~no-such-user/x"}.get(kind, kind)
    monkeypatch.setenv("CAAT_DATA_DIR", path)
    (told,) = mistakes()
    assert told.startswith(f"CAAT_DATA_DIR: {path!r} cannot be used: ")


def test_a_data_directory_that_cannot_be_made_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("CAAT_DATA_DIR", "/proc/caat")  # not even root makes a folder there
    forget()
    code, told = command(capsys, monkeypatch, "status")
    assert code == 2
    assert told.startswith("caat: CAAT_DATA_DIR: /proc/caat cannot be used: ")
    assert not {f.part: f for f in doctor.examine()}["data directory"].ok


# -- the file


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"CAAT_DEVICE=cpu\xff\n", "byte 16 is not UTF-8"), ("CAAT_A=1".encode("utf-16"), "UTF-8")],
)
def test_a_dot_env_that_is_no_utf_8_is_one_line(content, why, tmp_path):
    (tmp_path / ".env").write_bytes(content)
    (told,) = mistakes()
    assert told.startswith(".env: ")
    assert why in told


def test_a_byte_order_mark_hides_no_setting(tmp_path):
    (tmp_path / ".env").write_bytes("\ufeffCAAT_SWEEP_SECONDS=7\n".encode())
    assert read_settings(Settings).sweep_seconds == 7
    shown = {s.variable: s for s in doctor.settings_in_force()}["CAAT_SWEEP_SECONDS"]
    assert (shown.value, shown.source) == ("7.0", ".env")


def test_a_mistake_in_the_dot_env_says_where_it_is(tmp_path):
    (tmp_path / ".env").write_text("CAAT_SWEEP_SECONDS=often\n")
    assert "'often' (in .env) must be" in mistakes()[0]


def test_a_mistyped_variable_is_told_with_what_was_meant_and_is_no_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("CAAT_LEASE_SECOND", "hunter2")
    (tmp_path / ".env").write_text("CAAT_BROKERURL=hunter2\n")
    told = [f for f in doctor.examine() if f.part == "unknown setting"]
    assert all(finding.ok for finding in told)
    assert "was CAAT_LEASE_SECONDS meant?" in told[1].text
    assert "was CAAT_BROKER_URL meant?" in told[0].text
    assert "hunter2" not in told[0].text + told[1].text


@pytest.mark.parametrize("place", ["the environment", ".env"])
def test_a_setting_under_its_former_name_is_refused_with_todays_name(place, monkeypatch, tmp_path):
    if place == ".env":
        (tmp_path / ".env").write_text("CAAT_RING_AGAIN_SECONDS=9\n")
    else:
        monkeypatch.setenv("CAAT_RING_AGAIN_SECONDS", "9")
    line = (
        f"CAAT_RING_AGAIN_SECONDS: it is called CAAT_RESEND_AFTER_SECONDS now; rename it in {place}"
    )
    assert mistakes() == [line]
    told = [f for f in doctor.examine() if f.part in ("setting", "unknown setting")]
    assert [(f.ok, f.text) for f in told] == [(False, line)]
    monkeypatch.setenv("CAAT_LEASE_SECONDS", "abc")
    assert [each.partition(":")[0] for each in mistakes()] == [
        *("CAAT_RING_AGAIN_SECONDS", "CAAT_LEASE_SECONDS"),
    ]


def test_a_former_name_without_a_value_is_as_good_as_none(monkeypatch):
    monkeypatch.setenv("CAAT_RING_AGAIN_SECONDS", "")
    monkeypatch.setenv("CAAT_RESEND_AFTER_SECONDS", "9")
    assert read_settings(Settings).resend_after_seconds == 9


def test_a_former_name_is_no_setting_and_todays_is_one():
    assert not Settings.renamed.keys() & Settings.model_fields.keys()
    assert set(Settings.renamed.values()) <= Settings.model_fields.keys()


# -- through the commands


def command(capsys, monkeypatch, *words: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["caat", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(("variable", "value"), WRONG.items())
def test_a_command_tells_a_mistake_in_one_line_and_help_works(variable, value, monkeypatch, capsys):
    monkeypatch.setenv(variable, value)
    forget()
    for words in (["status"], ["launch", "x.toml"], ["worker"], ["dashboard"], ["db", "check"]):
        if words[0] == "launch":
            Path("x.toml").write_text("")
        code, told = command(capsys, monkeypatch, *words)
        assert code == 2
        assert told.startswith(f"caat: {variable}")
        assert told.count("\n") == 1
        assert "er2" not in told
    assert command(capsys, monkeypatch, "--version") == (0, "")
    assert command(capsys, monkeypatch, "--help") == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "app.cli.main", "--help"),
        ("-m", "app.cli.main", "up", "--no-demo"),
        ("-m", "tasks.trainer", "0" * 32, "1", "cpu", "1"),
        ("-m", "celery", "-A", "tasks", "inspect", "ping"),
        ("-m", "celery", "-A", "tasks", "worker"),
    ],
)
def test_every_process_tells_it_in_one_line(words):
    environment = {**os.environ, "CAAT_LEASE_SECONDS": "abc", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "--help" in words:
        assert (done.returncode, done.stderr) == (0, "")
        return
    assert done.returncode == 2
    assert done.stderr.startswith("caat: CAAT_LEASE_SECONDS: 'abc' must be a number")
    assert done.stderr.count("\n") == 1


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("variable", "value"), WRONG.items())
def test_the_doctor_survives_every_mistake_and_names_it(variable, value, monkeypatch, capsys):
    monkeypatch.setenv(variable, value)
    forget()
    monkeypatch.setattr(sys, "argv", ["caat", "doctor", "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().out
    bad = [f["text"] for f in json.loads(said)["findings"] if f["part"] == "setting"]
    assert end.value.code == 1
    assert len(bad) == 1
    assert bad[0].startswith(variable)
    assert "er2" not in said


def test_an_address_beyond_this_machine_needs_consent(no_settings_from_outside, monkeypatch):
    monkeypatch.setenv("CAAT_DASHBOARD_ADDRESS", "0.0.0.0")
    with pytest.raises(UserError, match="CAAT_DASHBOARD_PUBLIC=true"):
        dashboard_address(8501)
    forget()
    monkeypatch.setenv("CAAT_DASHBOARD_PUBLIC", "true")
    assert dashboard_address(8501).port == 8501


def test_a_data_directory_that_is_not_there_yet_is_nobody_elses(no_settings_from_outside):
    found = read_settings(Settings)
    assert not found.data_dir.exists()
    assert not found.is_shared


# -- the tables


def test_a_look_that_comes_again_and_again_asks_for_the_revision_once_in_a_while(monkeypatch):
    asked = []
    monkeypatch.setattr(Database, "revision", lambda self: asked.append(1) or head_revision())
    open_database()
    open_database(within=60)
    assert len(asked) == 1
    open_database()
    assert len(asked) == 2


def test_tables_that_have_become_newer_are_noticed_by_the_next_look_that_asks_them():
    with open_database().write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    open_database(within=60)
    for within in (0.0, 60.0):  # what was found last is not that they fit
        with pytest.raises(SchemaNewerError):
            open_database(within=within)
