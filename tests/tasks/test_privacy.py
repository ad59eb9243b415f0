"""Files are their owner's alone, or a group's, whatever the umask and whatever was there before."""

import grp
import os
import pwd
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import modes
from db.migrate import head_revision
from tasks import doctor, sharing
from tests.tasks.file_modes import mode

OLDER = sorted((Path(__file__).parents[1] / "db" / "released").glob("*.sql"))[-1]
"""A dump of a database of the revision before the newest."""


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


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


def test_folders_above_the_data_directory_are_made_as_its_persons_others(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "_earlier_umask", 0o027)
    sharing.fix_modes(tmp_path / "above" / "below" / "data", None)
    assert mode(tmp_path / "above") == mode(tmp_path / "above" / "below") == 0o750
    assert mode(tmp_path / "above" / "below" / "data") == 0o700


def test_the_persons_umask_is_the_one_before_the_first_change(monkeypatch):
    monkeypatch.setattr(sharing, "_earlier_umask", None)
    before = os.umask(0o027)
    try:
        assert sharing.user_umask() == 0o027
        sharing.set_umask(0o077)
        sharing.set_umask(0o007)
        assert sharing.user_umask() == 0o027
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to any group")
def test_a_file_of_another_group_is_told_only_where_a_group_shares(tmp_path):
    for shared, bits in ((True, 0o2770), (False, 0o700)):
        folder = tmp_path / f"{shared}"
        folder.mkdir()
        own, other = folder / "own", folder / "other"
        for file, gid in ((own, 12), (other, 13)):
            file.touch()
            os.chown(file, -1, gid)
            file.chmod(0o660 if shared else 0o600)
        os.chown(folder, -1, 12)
        folder.chmod(bits)
        assert sharing.wrong_modes(folder) == ([other] if shared else [])


@pytest.mark.parametrize("thorough", [False, True])
def test_a_data_directory_as_it_should_be_is_looked_through_only_where_that_is_asked(
    thorough, tmp_path
):
    top = tmp_path / "data"
    sharing.fix_modes(top, None)
    (top / "runs").mkdir(mode=0o755)
    sharing.fix_modes(top, None, **({"thorough": True} if thorough else {}))
    assert mode(top / "runs") == (0o700 if thorough else 0o755)


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (0o700, "is closed to"),
        (0o755, "is closed to"),
        (0o2770, "is shared with the group"),
    ],
)
@pytest.mark.parametrize("name", ["", "caat.db"])
def test_whoever_is_kept_out_is_told_whose_it_is_and_whether_a_group_shares_it(
    bits, said, name, tmp_path, monkeypatch
):
    top = tmp_path / "data"
    top.mkdir()
    top.chmod(bits)
    (top / "caat.db").touch()
    monkeypatch.setattr(os, "access", lambda place, _: Path(place) != top / name)
    told = sharing.denied(top / "caat.db")
    assert told is not None
    assert told.startswith(f"{top / name} belongs to {pwd.getpwuid(os.geteuid()).pw_name} and ")
    assert (said if not name else "is closed to") in told
