"""Checkpoints, locks and exports."""

import os
import time
from multiprocessing import get_context
from pathlib import Path

import hypothesis
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from db.atomic_write import atomic_write
from db.reads.rows import CheckpointRow
from tasks.broker_url import LONGEST_SOCKET_PATH, socket_path
from tasks.folder import make
from tasks.processes import lock
from tasks.recording import checkpoints

STATE = {
    "model.weight": torch.randn(3, 4),
    "momentum.weight": torch.randn(3, 4, dtype=torch.float64),
    "method.adam.step": torch.tensor(7.0),
    "count": torch.tensor([1, 2]),
}


def row(folder: Path, written: checkpoints.Written, epoch: int) -> CheckpointRow:
    path = str(written.path.relative_to(folder))
    return CheckpointRow(epoch, 1, path, written.size, written.sha256, None)


def test_a_checkpoint_restores_every_bit(tmp_path):
    written = checkpoints.write(tmp_path, 3, 1, state=STATE, scenario_digest="digest")
    found = checkpoints.newest_good(tmp_path, [row(tmp_path, written, 3)])
    assert found is not None
    assert found[0] == 3
    assert found[1].keys() == STATE.keys()
    for name, value in STATE.items():
        assert found[1][name].dtype == value.dtype
        assert torch.equal(found[1][name], value)


def test_the_names_of_new_folders_are_flushed_into_those_above_them(tmp_path, monkeypatch):
    flushed, real = [], os.fsync

    def noted(handle):
        flushed.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    make(tmp_path / "runs" / "one")
    assert flushed == [tmp_path, tmp_path / "runs"]
    make(tmp_path / "runs" / "one")
    assert len(flushed) == 2


def test_a_file_is_flushed_then_named_and_then_its_folder_is_flushed(tmp_path, monkeypatch):
    """A power cut after any of the three leaves the earlier file or the whole new one."""
    done, flush, rename = [], os.fsync, Path.replace

    def flushed(handle):
        place = Path(f"/proc/self/fd/{handle}").readlink()
        done.append("folder" if place == tmp_path else place.suffix)
        flush(handle)

    def renamed(path, target):
        done.append("name")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    checkpoints.write(tmp_path, 1, 1, state=STATE, scenario_digest="digest")
    assert done == [".tmp", "name", "folder"]
    done.clear()
    with atomic_write(tmp_path / "out.csv", 0o600) as path:
        path.write_bytes(b"whole")
    assert done == [".tmp", "name", "folder"]


def test_what_stays_of_checkpoints_is_the_newest_usable_and_what_is_later_elsewhere(tmp_path):
    def at(epoch: int, attempt: int) -> CheckpointRow:
        return CheckpointRow(epoch, attempt, f"e{epoch}", 1, "0" * 64, None)

    rows = [at(7, 1), at(6, 1), at(5, 2), at(4, 2), at(3, 1), at(2, 1)]  # 6 and 7 were unusable

    def epochs(keep: int) -> list[int]:
        return [row.epoch for row in checkpoints.kept(rows, 2, 3, keep=keep)]

    assert epochs(2) == [7, 6, 5, 4]
    assert epochs(3) == [7, 6, 5, 4, 3]
    assert epochs(1) == [5]  # room is needed
    assert checkpoints.kept([at(7, 1)], 2, 0, keep=2) == [at(7, 1)]
    passed = [at(8, 2), at(7, 2), at(6, 1)]
    assert [row.epoch for row in checkpoints.kept(passed, 2, 3, keep=2)] == [8, 7]


def test_equal_states_give_equal_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = checkpoints.write(tmp_path / "a", 1, 1, state=STATE, scenario_digest="digest")
    two = checkpoints.write(tmp_path / "b", 1, 1, state=STATE, scenario_digest="digest")
    assert one.path.read_bytes() == two.path.read_bytes()


@given(st.integers(0, 10_000), st.integers(1, 255))
@hypothesis.settings(deadline=None)
def test_any_flipped_byte_is_found_and_the_checkpoint_before_is_used(tmp_path_factory, at, change):
    folder = tmp_path_factory.mktemp("run")
    older = checkpoints.write(folder, 1, 1, state=STATE, scenario_digest="digest")
    newer = checkpoints.write(
        folder, 2, 1, state={**STATE, "more": torch.ones(9)}, scenario_digest="digest"
    )
    content = bytearray(newer.path.read_bytes())
    content[at % len(content)] ^= change
    newer.path.write_bytes(content)
    found = checkpoints.newest_good(folder, [row(folder, newer, 2), row(folder, older, 1)])
    assert found is not None
    assert found[0] == 1


def test_a_truncated_and_a_missing_checkpoint_are_passed_over(tmp_path):
    older = checkpoints.write(tmp_path, 1, 1, state=STATE, scenario_digest="digest")
    cut = checkpoints.write(tmp_path, 2, 1, state=STATE, scenario_digest="digest")
    gone = checkpoints.write(tmp_path, 3, 1, state=STATE, scenario_digest="digest")
    cut.path.write_bytes(cut.path.read_bytes()[:-10])
    gone.path.unlink()
    rows = [row(tmp_path, gone, 3), row(tmp_path, cut, 2), row(tmp_path, older, 1)]
    found = checkpoints.newest_good(tmp_path, rows)
    assert found is not None
    assert found[0] == 1


def test_a_failed_write_leaves_no_file_and_the_one_before(tmp_path, monkeypatch):
    older = checkpoints.write(tmp_path, 1, 1, state=STATE, scenario_digest="digest")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.write(tmp_path, 2, 1, state=STATE, scenario_digest="digest")
    assert list(tmp_path.iterdir()) == [older.path]


def test_what_no_row_names_is_deleted_but_nothing_of_a_later_attempt(tmp_path):
    kept = checkpoints.write(tmp_path, 2, 1, state=STATE, scenario_digest="digest").path
    checkpoints.write(tmp_path, 1, 1, state=STATE, scenario_digest="digest")
    later = checkpoints.write(tmp_path, 3, 3, state=STATE, scenario_digest="digest").path
    (tmp_path / "e000003-a02-01234567.tmp").write_bytes(b"half")
    (tmp_path / "log.txt").touch()
    checkpoints.delete_unreferenced(tmp_path, 2, {kept.name})
    assert set(tmp_path.iterdir()) == {kept, later, tmp_path / "log.txt"}


def test_a_file_that_cannot_be_deleted_does_not_end_a_run(tmp_path, monkeypatch, caplog):
    old = checkpoints.write(tmp_path, 1, 1, state=STATE, scenario_digest="digest").path

    def failing(path: Path, *, missing_ok: bool) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as failing_disk:
        failing_disk.setattr(Path, "unlink", failing)
        checkpoints.delete_unreferenced(tmp_path, 1, set())
    assert old.exists()
    assert f"{old.name} stays for now" in caplog.text


def _hold(folder: Path, ready: object) -> None:
    with lock.held(folder) as mine:
        assert mine
        ready.set()
        time.sleep(60)


def test_a_lock_is_free_as_soon_as_its_holder_is_killed(tmp_path):
    context = get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(60)
    assert lock.is_held(tmp_path)
    with lock.held(tmp_path) as mine:
        assert not mine
    holder.kill()
    holder.join()
    assert not lock.is_held(tmp_path)


def test_looking_at_a_lock_of_ones_own_does_not_free_it(tmp_path):
    with lock.held(tmp_path) as mine:
        assert mine
        assert lock.is_held(tmp_path)
        assert lock.is_held(tmp_path)


def test_a_deep_data_directory_still_has_a_usable_socket_path():
    assert socket_path(Path("/data")) == Path("/data/broker/broker.sock")
    deep = socket_path(Path("/" + "d" * 200))
    assert len(str(deep)) <= LONGEST_SOCKET_PATH
    assert deep != socket_path(Path("/" + "e" * 200))


@pytest.mark.parametrize(
    ("data_dir", "place"), [("/srv/caat", "far, in /srv/caat"), ("", "far")], ids=["known", "old"]
)
def test_a_checkpoint_elsewhere_is_told_with_its_host_and_the_folder_if_that_is_known(
    data_dir, place
):
    there = CheckpointRow(3, 1, "e3", 10, "0" * 64, None, host="far", data_dir=data_dir)
    found = checkpoints.Search(None, [checkpoints.Unusable(there, checkpoints.Why.ELSEWHERE)])
    assert found.why_none() == (
        f"its checkpoints are not on this host but on {place}: run this command there"
    )
