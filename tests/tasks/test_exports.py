"""An export is whole or has not happened, and says why in one line."""

import contextlib
import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import hypothesis
import pytest
import streamlit
from hypothesis import given
from hypothesis import strategies as st

from app.cli import os_errors
from db.atomic_write import atomic_write
from db.reads import queries
from tasks.processes.process import output_file
from tasks.results import export
from tasks.settings import open_database

EARLIER = b"the export of yesterday\n"
KILLED_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from db.atomic_write import atomic_write
with atomic_write(Path(sys.argv[1]), 0o600) as path:
    path.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
ABOUT_FILES = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENOENT, errno.ENOTDIR),
    *(errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP),
    *(errno.EMFILE, errno.ENFILE),
}
FULL_DISK = "full disk" if os.geteuid() == 0 else "size limit"
"""Only root can make a small disk."""
OutOfRoom = tuple[Path, Callable[[], AbstractContextManager[None]]]


@pytest.fixture(params=[FULL_DISK])
def out_of_room(request, tmp_path) -> Iterator[OutOfRoom]:
    """A folder, and a block in which nothing more can be written there; a real one if root."""
    if request.param == "size limit":
        yield tmp_path, partial(limited, 0)
        return
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", disk], check=True)
    try:
        yield disk, partial(filled, disk)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@contextmanager
def limited(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        filler.unlink()


def test_an_export_without_room_leaves_the_earlier_one_and_no_debris(caat_here, out_of_room):
    folder, no_room = out_of_room
    streamlit.cache_resource.clear()  # the report's database is that of an earlier test
    assert caat_here("run", "scenario.toml", "--set", "training.epochs=1")[0] == 0
    with open_database().read() as session:
        (run_id,) = queries.find_runs(session, "")
    outs = {
        "metrics": folder / "metrics.csv",
        "classes": folder / "classes.parquet",
        "samples": folder / "samples.csv",
        "evaluations": folder / "evaluations.parquet",
        "model": folder / "model.safetensors",
        "torch-export": folder / "model.pt2",
        "card": folder / "card.md",
        "mlflow": folder / "curves.zip",
        "suspects": folder / "suspects.parquet",
        "report": folder / "report.html",
    }
    for out in outs.values():
        out.write_bytes(EARLIER)
        out.chmod(0o604)
    there = set(folder.iterdir())
    with no_room():
        for what, out in outs.items():
            code, line = caat_here("export", run_id, "--what", what, "--out", str(out))
            assert code == 1, line
            assert line.startswith(f"caat: cannot use {out}: "), line
            assert line.count("\n") == 1
            assert out.read_bytes() == EARLIER
        code, line = caat_here("db", "backup", "--out", str(folder / "copy.db"))
        assert (code, line.count("\n")) == (1, 1)
        assert str(folder / "copy.db") in line
        assert set(folder.iterdir()) - {folder / "filler"} == there
    for what, out in outs.items():
        assert caat_here("export", run_id, "--what", what, "--out", str(out))[0] == 0
        assert len(out.read_bytes()) > len(EARLIER)
        assert stat.S_IMODE(out.stat().st_mode) == 0o604
    assert caat_here("db", "backup", "--out", str(folder / "copy.db"))[0] == 0
    assert set(folder.iterdir()) == there | {folder / "copy.db"}


def test_a_writer_that_is_killed_half_way_costs_nothing(tmp_path):
    out = tmp_path / "out.csv"
    out.write_bytes(EARLIER)
    done = subprocess.run([sys.executable, "-c", KILLED_HALF_WAY, str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert out.read_bytes() == EARLIER


@given(st.integers(0, 0o777), st.binary(max_size=50), st.booleans())
@hypothesis.settings(deadline=None)
def test_a_file_is_the_new_one_after_the_block_and_the_earlier_one_after_an_error(
    tmp_path_factory, mode, content, fails
):
    folder = tmp_path_factory.mktemp("out")
    target, link = folder / "target", folder / "link"
    target.write_bytes(EARLIER)
    target.chmod(mode | 0o200)
    link.symlink_to(target)
    with contextlib.suppress(KeyError), atomic_write(link, 0o600) as path:
        path.write_bytes(content)
        assert target.read_bytes() == EARLIER
        if fails:
            raise KeyError
    assert target.read_bytes() == (EARLIER if fails else content)
    assert stat.S_IMODE(target.stat().st_mode) == mode | 0o200
    assert link.is_symlink()
    assert set(folder.iterdir()) == {target, link}


def test_a_device_and_a_pipe_are_written_themselves(tmp_path):
    with atomic_write(Path("/dev/null"), 0o600) as path:
        assert path == Path("/dev/null")
    with (
        pytest.raises(OSError, match="No space left on device: '/dev/full'"),
        atomic_write(Path("/dev/full"), 0o600) as path,
    ):
        path.write_bytes(b"x")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("", "is a folder"),
        (".", "is a folder"),
        ("missing/x.csv", "the folder missing does not exist"),
        ("scenario.toml/x.csv", "the folder scenario.toml does not exist"),
        (f"{'a' * 300}.csv", "File name too long"),
    ],
)
def test_a_place_where_no_file_can_be_is_one_line(caat_here, monkeypatch, out, said):
    def rows(*_: object) -> int:
        with output_file(Path(out)):
            return 0

    monkeypatch.setitem(export.EXPORTS, "metrics", rows)
    caat_here("launch", "scenario.toml")
    with open_database().read() as session:
        (run_id,) = queries.find_runs(session, "")
    code, line = caat_here("export", run_id, "--what", "metrics", "--out", out)
    assert code == 2
    assert said in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("asked", ["", " ", "\t", "\n", "\u00a0", "%", "_", "%%", "*", "?", "."])
def test_what_names_no_run_touches_none(caat_here, asked):
    caat_here("launch", "scenario.toml")
    with open_database().read() as session:
        (run_id,) = queries.find_runs(session, "")
    assert caat_here("stop", run_id)[0] == 0
    for command in ("delete", "stop", "resume", "status", "evaluate"):
        code, line = caat_here(command, asked)
        assert code == 2
        assert line.startswith("caat: RUN: ")
        assert line.count("\n") == 1
    assert caat_here("export", asked, "--what", "metrics", "--out", "x.csv")[0] == 2
    with open_database().read() as session:
        assert queries.find_runs(session, "") == [run_id]


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_about_a_file_is_one_line_that_names_it(number):
    told = os_errors.explained(OSError(number, os.strerror(number), "/no/such\nfile"))
    assert (told is not None) == (number in ABOUT_FILES)
    if told is not None:
        line, code = told
        assert len(line.splitlines()) == 1
        assert r"/no/such\nfile" in line
        assert os.strerror(number) in line
        assert code in (1, 2)


def test_output_that_cannot_be_written_ends_in_order(sqlite_studio):
    def methods(**output: object) -> "subprocess.CompletedProcess[str]":
        words = [sys.executable, "-m", "app.cli.main", "methods"]
        return subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False, **output)

    with Path("/dev/full").open("w") as full:
        done = methods(stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith("caat: cannot use the standard output: No space left on device")
    assert done.stderr.count("\n") == 1
    reader, writer = os.pipe()
    os.close(reader)
    done = methods(stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("what", ["metrics", "classes", "samples", "evaluations"])
def test_a_table_without_a_row_is_refused_and_makes_no_file(what, caat_here, sqlite_studio):
    run_id = sqlite_studio.queue()
    out = sqlite_studio.folder / "out.csv"
    code, line = caat_here("export", run_id, "--what", what, "--out", str(out))
    assert (code, line) == (2, "caat: RUN: nothing of the kind is recorded yet\n")
    assert not out.exists()


def test_an_error_while_a_file_is_written_names_the_file_that_it_is_about(tmp_path):
    target = tmp_path / "out.csv"
    for about, named in ((None, target), ("its own", target), ("/else/where", "/else/where")):
        with pytest.raises(OSError, match="No space") as error, atomic_write(target, 0o600) as path:
            raise OSError(errno.ENOSPC, "No space", str(path) if about == "its own" else about)
        assert error.value.filename == str(named)
    missing = tmp_path / "missing" / "out.csv"
    with pytest.raises(FileNotFoundError) as error, atomic_write(missing, 0o600):
        raise AssertionError("there is no such folder")
    assert error.value.filename == str(missing)
