"""A password of the settings is in nothing that is told, nor in what a real run leaves behind."""

import logging
import os
import sys
import threading
import warnings
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.cli.main import main
from db.models import Base, RunStatus
from db.settings import display_url
from tasks.processes import secrecy
from tasks.settings import settings
from tests.tasks.environment import forget

MARK = "q7planted"
PASSWORD = f"{MARK}/wörd @%41 z9"
TALKING = """
import logging, os, sys, threading, warnings

def talks(handle):
    os.fsync = real
    url = f"{os.environ['CAAT_DATABASE_URL']} with {os.environ['CAAT_DATABASE_PASSWORD']}"
    logging.getLogger("library").warning("No answer from %s", url)
    try:
        raise ValueError(f"Wrong is {os.environ['CAAT_BROKER_URL']}")
    except ValueError:
        logging.getLogger("library").exception("No broker")
    warnings.warn(f"Slow is {url}")
    thread = threading.Thread(target=fails, args=(f"Dead is {url}",))
    thread.start()
    thread.join()
    fails(f"Gone is {url}")

def fails(text):
    raise RuntimeError(text)

if "tasks.trainer" in getattr(sys, "orig_argv", []):
    real, os.fsync = os.fsync, talks
"""
"""A trainer whose libraries tell its passwords by every way they have, at its first save."""


def test_a_planted_password_is_in_no_file_no_output_and_no_row_of_a_run_whose_libraries_tell_it(
    postgresql_studio, tmp_path
):
    studio = postgresql_studio
    if studio.database.url.password:
        pytest.skip("the server asks for a password of its own")
    (tmp_path / "sitecustomize.py").write_text(TALKING)
    studio.environment |= {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        "CAAT_DATABASE_PASSWORD": PASSWORD,
        "CAAT_BROKER_URL": f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:9/0",
    }
    worker = studio.start_worker()
    launched = studio.caat("launch", str(studio.scenario))
    run_id = launched.stdout.strip()
    run = studio.wait_for_status(run_id, RunStatus.FAILED)
    worker.terminate()
    worker.wait(60)

    assert "broker unreachable" in launched.stderr
    assert "Cannot connect to redis://" in (studio.folder / "output.txt").read_text()
    log = (studio.folder / "runs" / run_id / "log.txt").read_text()
    for told in ("No answer from", "No broker", "Slow is", "Dead is", "Gone is"):
        assert told in log
    assert run.message.startswith("RuntimeError: Gone is postgresql+psycopg://")
    assert run.message.endswith("with ***")
    with studio.database.read() as session:
        tables = Base.metadata.sorted_tables
        rows = [repr(row) for table in tables for row in session.execute(select(table))]
    said = [launched.stdout, launched.stderr, *rows]
    assert [text for text in said if MARK in text] == []
    files = [path for path in studio.folder.rglob("*") if path.is_file()]
    assert [path for path in files if MARK.encode() in path.read_bytes()] == []


PASSWORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=4, max_size=20
).map(lambda text: f"q7{text}z9")


@pytest.mark.usefixtures("no_settings_from_outside")
@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(password=PASSWORDS)
def test_a_planted_secret_is_in_nothing_that_is_told(password, monkeypatch, capsys, caplog):
    encoded = quote(password, safe="")
    monkeypatch.setenv("CAAT_DATABASE_URL", f"postgresql://me:{encoded}@127.0.0.1:9/none")
    monkeypatch.setenv("CAAT_BROKER_URL", f"redis://{encoded}:{encoded}@127.0.0.1:9/0")
    forget()
    secrecy.hide_in_logs()
    caplog.clear()
    said = [repr(settings()), display_url(settings().broker_url)]
    for words in (["doctor"], ["doctor", "--json"], ["status"], ["db", "check"]):
        monkeypatch.setattr(sys, "argv", ["caat", *words])
        with pytest.raises(SystemExit):
            main()
        said += [*capsys.readouterr()]
    logging.getLogger("celery").error("consumer: Cannot connect to %s", settings().broker_url)
    try:
        raise RuntimeError(f"at {settings().database_url}, {password}")
    except RuntimeError:
        logging.getLogger("anyone").exception("It failed")
    told = "\n".join([*said, caplog.text])
    assert "It failed" in told
    for form in (password, encoded, "q7", "z9"):
        assert form not in told


@pytest.mark.usefixtures("no_settings_from_outside")
def test_what_a_process_warns_of_and_dies_of_is_told_without_its_secrets(monkeypatch, capsys):
    for owner, name in (
        (sys, "excepthook"),
        (threading, "excepthook"),
        (warnings, "formatwarning"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setenv("CAAT_BROKER_URL", "redis://:hunter2@127.0.0.1:9/0")
    forget()
    secrecy.hide_in_tracebacks()

    def fail(text: str) -> None:
        raise RuntimeError(text)

    with pytest.raises(RuntimeError) as died:
        fail("all of it: hunter2")
    sys.excepthook(died.type, died.value, died.tb)
    thread = threading.Thread(target=fail, args=("a thread: hunter2",), name="listener")
    thread.start()
    thread.join()
    said = capsys.readouterr().err
    said += warnings.formatwarning(UserWarning("slow: hunter2"), UserWarning, "x.py", 1)
    assert "hunter2" not in said
    assert "RuntimeError: all of it: ***\n" in said
    assert "In thread listener: Traceback" in said
    assert "RuntimeError: a thread: ***\n" in said
    assert "UserWarning: slow: ***\n" in said
