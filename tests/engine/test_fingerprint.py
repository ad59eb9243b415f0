"""A dataset's fingerprint: of its content, whatever its files, and cheap to ask for again."""

import gzip

import pytest

from engine.data.datasets.base import datasets
from engine.data.fingerprint import fingerprint, require_unchanged
from engine.errors import UserError

MNIST = datasets()["mnist"]


def pack(path, shape, content):
    head = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    path.write_bytes(head + content)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A made-up MNIST of ten training and ten test images."""
    ones = (1,) * 10
    monkeypatch.setattr(type(MNIST), "train_counts", ones)
    monkeypatch.setattr(type(MNIST), "test_counts", ones)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        pack(raw / f"{part}-images-idx3-ubyte", (10, 28, 28), bytes(7840))
        pack(raw / f"{part}-labels-idx1-ubyte", (10,), bytes(range(10)))
    return tmp_path


def test_equal_content_has_one_fingerprint_packed_or_not(folder):
    before = fingerprint(MNIST, folder)
    for file in list((folder / "MNIST" / "raw").iterdir()):
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert fingerprint(MNIST, folder) == before
    assert len(before) == 64


def test_one_changed_label_or_pixel_is_another_dataset(folder):
    before = fingerprint(MNIST, folder)
    seen = {before}
    for name in ("t10k-labels-idx1-ubyte", "train-images-idx3-ubyte"):
        file = folder / "MNIST" / "raw" / name
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        seen.add(fingerprint(MNIST, folder))
    assert len(seen) == 3
    with pytest.raises(UserError) as error:
        require_unchanged(MNIST, folder, before)
    now = fingerprint(MNIST, folder)[:8]
    told = f"Dataset mnist has changed since launch (fingerprint {before[:8]}, now {now})"
    assert str(error.value) == told


def test_a_missing_dataset_is_named(folder):
    (folder / "MNIST" / "raw" / "train-images-idx3-ubyte").unlink()
    with pytest.raises(UserError, match=r"^Dataset mnist is missing$"):
        fingerprint(MNIST, folder)


def test_files_that_did_not_change_are_read_once(folder, monkeypatch):
    before = fingerprint(MNIST, folder)

    def unreadable(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(type(MNIST), "read", unreadable)
    assert fingerprint(MNIST, folder) == before


def test_a_bundled_dataset_has_a_fingerprint_too(tmp_path):
    digits = datasets()["digits"]
    require_unchanged(digits, tmp_path, fingerprint(digits, tmp_path))
    with pytest.raises(UserError, match="has changed since launch"):
        require_unchanged(digits, tmp_path, "0" * 64)
