"""Whether the worker of a run lives is told by its own evidence, and a look changes nothing."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import event

from app.scenario.toml_in import read_scenario
from db.reads import leases, queries
from db.reads.rows import Holder
from db.session import Database
from db.writes import transitions
from db.writes.transitions import WorkerIdentity
from tasks.processes import lock
from tasks.processes.host import boot_id, host_name, new_identity
from tasks.processes.lock_domain import NAME, domain_of, ensure_domain, files_of
from tasks.queue.submit import submit
from tasks.settings import settings
from tasks.worker import liveness, reconcile
from tasks.worker.liveness import is_gone, lock_is_held, with_lost_marked


@pytest.fixture
def elsewhere(studio, tmp_path, monkeypatch) -> Callable[[], Path]:
    """Makes this process one with another data directory on the same database."""

    def go() -> Path:
        monkeypatch.setenv("CAAT_DATA_DIR", str(tmp_path / "another"))
        settings.cache_clear()
        ensure_domain(settings().data_dir)
        return settings().data_dir

    return go


class Clock:
    """A clock that nobody can set but the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(liveness, "time", clock)
    return clock


def claimed(studio, *, lease: float = 60, **changed: str) -> str:
    """A run that a worker of this data directory has claimed, whose lock nobody holds any more."""
    run_id = submit(read_scenario(studio.scenario, []), actor="tester").run_id
    with lock.held(studio.folder / "runs" / run_id), studio.database.write() as session:
        who = replace(worker_here(studio), **changed)
        assert transitions.claim(session, run_id, who, lease_seconds=lease) == 1
    return run_id


def worker_here(studio) -> WorkerIdentity:
    return WorkerIdentity(
        "the-owner",
        host_name(),
        boot_id(),
        1,
        "cpu",
        ensure_domain(studio.folder),
        str(studio.folder),
    )


def holder(database: Database, run_id: str) -> Holder:
    with database.read() as session:
        (found,) = leases.holders(session, run_id)
    return found


def shown(database: Database, run_id: str) -> str:
    with database.read() as session:
        run = queries.get_run(session, run_id)
    assert run is not None
    return with_lost_marked([run], database)[0].shown_status


HOURS = 3600.0


@pytest.mark.parametrize("lease", [-2 * HOURS, 60, 2 * HOURS], ids=["behind", "right", "ahead"])
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_held_lock_says_that_a_worker_lives_and_a_free_one_that_it_is_gone_whatever_the_clocks(
    studio, elsewhere, lease, where
):
    run_id = claimed(studio, lease=lease)
    with lock.held(studio.folder / "runs" / run_id):
        if where == "elsewhere":
            elsewhere()
        assert shown(studio.database, run_id) == "running"
        reconcile.end_lost(studio.database)
        assert studio.run(run_id).status == "running"
    assert shown(studio.database, run_id) == "lost"
    reconcile.end_lost(studio.database)
    assert studio.run(run_id).status == "interrupted"


NOT_TO_BE_SEEN = {
    "a data directory of the same path on another machine": {"boot_id": "another boot"},
    "a worker of before revision 0005": {"lock_domain": "", "data_dir": ""},
    "a folder that is not to be seen from this container": {"data_dir": "/nowhere"},
    "another folder under the same path": {"lock_domain": f"{uuid4().hex}.12"},
}


@pytest.mark.parametrize("changed", NOT_TO_BE_SEEN.values(), ids=list(NOT_TO_BE_SEEN))
def test_where_the_lock_cannot_be_seen_it_says_nothing(studio, elsewhere, changed):
    run_id = claimed(studio, **changed)
    elsewhere()
    assert lock_is_held(holder(studio.database, run_id)) is None
    assert shown(studio.database, run_id) == "running"


def test_a_copy_of_a_data_directory_is_not_the_one_whose_locks_count(studio, monkeypatch, tmp_path):
    run_id = claimed(studio)
    with lock.held(studio.folder / "runs" / run_id):
        copy = tmp_path / "copy"
        shutil.copytree(studio.folder, copy, ignore=shutil.ignore_patterns("*.sock"))
        moved = studio.folder.with_name(f"{studio.folder.name}-moved")
        monkeypatch.setenv("CAAT_DATA_DIR", str(copy))
        settings.cache_clear()
        assert domain_of(copy) != domain_of(studio.folder)
        assert files_of(domain_of(copy)) == files_of(domain_of(studio.folder))
        # The first one is in its place.
        assert lock_is_held(holder(studio.database, run_id)) is True
        studio.folder.rename(moved)
        try:
            assert lock_is_held(replace(holder_of(run_id, studio, moved), data_dir="/gone")) is None
        finally:
            moved.rename(studio.folder)


def holder_of(run_id: str, studio, folder: Path) -> Holder:
    """A holder whose rows may be in a file that has just moved."""
    if studio.database.is_sqlite:
        who = worker_here_of(folder)
        return Holder(
            run_id, 1, who.id, who.host, who.boot_id, who.lock_domain, who.data_dir, None, 60, 60
        )
    return holder(studio.database, run_id)


def worker_here_of(folder: Path) -> WorkerIdentity:
    return WorkerIdentity("w", host_name(), boot_id(), 1, "cpu", domain_of(folder), str(folder))


@pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
def test_without_a_lock_to_see_a_worker_is_gone_after_its_lease_by_a_clock_nobody_sets(
    studio, clock
):
    """SQLite has no clock of its own: the looker's monotonic one counts."""
    database = studio.database
    for hours in (-2, 0, 2):
        run_id = claimed(studio, lease=hours * HOURS, boot_id="another boot")
        with database.write() as session:
            session.execute(leases.Attempt.__table__.update().values(lease_seconds=60))
        assert not is_gone(holder(database, run_id), database)
        clock.now += 59
        assert not is_gone(holder(database, run_id), database)
        with database.write() as session:
            assert transitions.heartbeat(session, run_id, 1, lease_seconds=hours * HOURS)
            session.execute(leases.Attempt.__table__.update().values(lease_seconds=60))
        clock.now += 59
        assert not is_gone(holder(database, run_id), database)  # it has just reported
        clock.now += 61
        assert is_gone(holder(database, run_id), database)


@pytest.mark.parametrize("studio", ["postgresql"], indirect=True)
def test_without_a_lock_to_see_the_lease_counts_by_the_clock_of_the_server(studio, clock):
    database = studio.database
    for lease, gone in ((-1, True), (60, False)):
        run_id = claimed(studio, lease=lease, boot_id="another boot")
        assert is_gone(holder(database, run_id), database) is gone
        clock.now += 10_000
        assert is_gone(holder(database, run_id), database) is gone


def test_a_look_writes_nothing_at_all(studio, elsewhere):
    run_ids = [claimed(studio, lease=-2 * HOURS), claimed(studio, lease=-1, boot_id="another")]
    for folder in (studio.folder, elsewhere()):
        before = {path: path.stat().st_mtime_ns for path in files_in(folder)}
        with watched(studio.database) as written:
            for run_id in run_ids:
                shown(studio.database, run_id)
        assert written == []
        assert {path: path.stat().st_mtime_ns for path in files_in(folder)} == before


def files_in(folder: Path) -> Iterator[Path]:
    """Everything but what SQLite itself keeps beside its file."""
    return (path for path in folder.rglob("*") if not path.name.startswith("caat.db"))


@contextmanager
def watched(database: Database) -> Iterator[list[str]]:
    """Give the statements that change something, as they are sent."""
    written: list[str] = []

    def note(_connection, _cursor, statement, *_):
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN")):
            written.append(statement)

    engines = (database._reader, database._writer)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield written
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def test_status_says_lost_and_leaves_the_row_to_those_who_work(studio):
    run_id = claimed(studio)
    listed = json.loads(studio.caat("status", "--json").stdout)["runs"]
    assert [run["status"] for run in listed] == ["lost"]
    told = json.loads(studio.caat("status", run_id, "--json").stdout)
    assert (told["status"], told["attempt"]) == ("lost", 1)
    assert "worker is gone" in told["message"]
    assert studio.run(run_id).status == "running"


@pytest.mark.parametrize("command", ["stop", "resume"])
def test_who_acts_on_a_lost_run_has_its_end_written_first(studio, command):
    run_id = claimed(studio)
    done = studio.caat(command, run_id)
    assert done.returncode == 0
    assert studio.run(run_id).status == {"stop": "cancelled", "resume": "queued"}[command]
    with studio.database.read() as session:
        lost = next(e for e in queries.events(session, run_id) if e.to_status == "interrupted")
    assert "waits for a worker (attempt 2)" in lost.message  # nobody here resumes it


def test_two_workers_of_one_host_name_and_process_id_have_two_names(monkeypatch, tmp_path):
    monkeypatch.setattr(socket, "gethostname", lambda: "twin")
    host_name.cache_clear()
    names = {new_identity(tmp_path, "cpu").id for _ in range(8)}
    host_name.cache_clear()
    assert len(names) == 8
    assert all(name.startswith(f"twin-{os.getpid()}-") for name in names)


def test_a_damaged_domain_is_made_anew_and_an_attempt_of_the_old_one_is_left_to_its_lease(studio):
    run_id = claimed(studio)
    (studio.folder / NAME).write_bytes(b"")
    assert domain_of(studio.folder) is None
    assert lock_is_held(holder(studio.database, run_id)) is None
    new = ensure_domain(studio.folder)
    assert new == ensure_domain(studio.folder) == domain_of(studio.folder)
    assert lock_is_held(holder(studio.database, run_id)) is None
    assert list(studio.folder.glob(f"{NAME}*")) == [studio.folder / NAME]


def test_a_healthy_run_ends_well_beside_colleagues_twins_and_wrong_clocks(studio, tmp_path):
    """Real processes: workers and looks with another data directory, and clocks two hours off."""
    faketime = shutil.which("faketime")
    assert faketime, "the Debian package faketime is needed"
    studio.start_worker()
    run_id = studio.launch("training.epochs=500")
    studio.wait_for_epoch(run_id, 1)
    others = []
    for hours, data_dir in product((-2, 0, 2), (studio.folder, tmp_path / "colleague")):
        environment = {**studio.environment, "CAAT_DATA_DIR": str(data_dir)}
        environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        others.append(SimpleNamespace(hours=hours, environment=environment))
    with ExitStack() as stack:
        for other in others:
            sweeper = stack.enter_context(sweeping(faketime, other))
            assert sweeper.wait(timeout=120) == 0
    run = studio.run(run_id)
    assert (run.status, run.attempt) == ("running", 1)
    assert [attempt.outcome for attempt in run.attempts] == [None]
    (trainer,) = studio.trainers(run_id)
    trainer.send_signal(signal.SIGKILL)
    studio.wait_for(lambda: studio.run(run_id).attempt == 2, "the second attempt")


SWEEPS = """
import sys
from app.cli.main import main
from tasks.worker import reconcile
from tasks.settings import open_database
for _ in range(3):
    reconcile.end_lost(open_database())
sys.argv = ["caat", "status"]
main()
"""


@contextmanager
def sweeping(faketime: str, other: SimpleNamespace):
    """A process of its own that sweeps as workers do, then looks, by a clock that is off."""
    process = subprocess.Popen(
        [faketime, "-f", f"{other.hours:+d}h", sys.executable, "-c", SWEEPS],
        env=other.environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_lock_domain_is_made_where_the_file_system_has_no_hard_links(tmp_path, monkeypatch):
    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    made = ensure_domain(tmp_path)
    assert made == domain_of(tmp_path) == ensure_domain(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
