"""A password of the settings is in nothing that a real run leaves behind."""

import os
from urllib.parse import quote

import pytest
from sqlalchemy import select

from db.models import Base, RunStatus

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
