import builtins
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from engine.data.config import DataConfig
from engine.data.datasets import fashion_mnist
from engine.data.datasets.base import datasets
from engine.data.preparation import prepare
from engine.errors import UserError

SIZES = {"train": 60_000, "t10k": 10_000}


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def write(folder, part, kind, content: bytes, *, compress: bool = True) -> None:
    path = folder / f"{part}-{kind}-ubyte.gz"
    path.write_bytes(gzip.compress(content, compresslevel=1) if compress else content)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The four files with real headers and sizes, where the reader looks."""
    for part, n in SIZES.items():
        labels = (np.arange(n) % 10).astype(np.uint8)
        images = np.zeros((n, 28, 28), dtype=np.uint8)
        images[:, 3, 4] = labels
        write(tmp_path, part, "images-idx3", idx(images))
        write(tmp_path, part, "labels-idx1", idx(labels))
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def nothing_here(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "absent")
    return tmp_path


def load(folder=Path("not-used")):
    return datasets()["fashion-mnist"].load(folder)


def test_images_and_labels_are_read_in_order(files):
    train, test = load()
    for part, n in ((train, 60_000), (test, 10_000)):
        assert part.images.shape == (n, 1, 28, 28)
        assert np.array_equal(part.labels, np.arange(n) % 10)
        assert np.array_equal(part.images[:, 0, 3, 4], part.labels)
        assert np.array_equal(part.source, np.arange(n))


def test_debians_files_are_what_the_dataset_declares(tmp_path, request):
    if not fashion_mnist.DEBIAN_FOLDER.is_dir():
        request.getfixturevalue("files")
    source = datasets()["fashion-mnist"]
    train, test = source.load(tmp_path)
    assert tuple(np.bincount(train.labels)) == source.train_counts
    assert tuple(np.bincount(test.labels)) == source.test_counts


def test_a_stratified_subset_is_made_of_it(files, tmp_path):
    data = prepare(DataConfig(dataset="fashion-mnist", train_size=600, test_size=200), 0, tmp_path)
    assert np.bincount(data.train.labels).tolist() == [60] * 10
    assert np.bincount(data.test.labels).tolist() == [20] * 10
    assert len(data.meta) == len(data.validation) == 1000


def test_an_earlier_download_is_used(files, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("data")
    raw = folder / "FashionMNIST" / "raw"
    raw.parent.mkdir()
    files.rename(raw)
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", folder / "absent")
    assert len(load(folder)[0]) == 60_000


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith("data.dataset: ")
    return text


HEAD = bytes([0, 0, 8, 1]) + struct.pack(">I", 60_000)
BROKEN = {
    "cut short": (gzip.compress(HEAD + bytes(500)), "cut short"),
    "too long": (gzip.compress(HEAD + bytes(60_001)), "cut short|not the file"),
    "wrong magic": (gzip.compress(b"\0\0\x09\1" + HEAD[4:] + bytes(60_000)), "not the file"),
    "wrong size": (gzip.compress(HEAD[:4] + struct.pack(">I", 9) + bytes(9)), "not the file"),
    "empty": (gzip.compress(b""), "not the file"),
    "not compressed": (HEAD + bytes(60_000), "cannot be read"),
    "half a gzip": (gzip.compress(np.random.default_rng(0).bytes(9000))[:4000], "cannot be read"),
    "damaged gzip": (gzip.compress(HEAD + bytes(60_000))[:10] + b"\xff" * 90, "cannot be read"),
    "a label of eleven": (gzip.compress(HEAD + bytes([11]) * 60_000), "label above 9"),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_one_line_to_the_user(files, content, reason):
    write(files, "train", "labels-idx1", content, compress=False)
    with pytest.raises(UserError, match=reason) as error:
        load()
    one_line(error)


REASONS = {
    "no network": OSError("Network is unreachable\nand more"),
    "every mirror failed": RuntimeError("Error downloading train-images-idx3-ubyte.gz"),
    "torchvision cannot be imported": RuntimeError("operator torchvision::nms does not exist"),
    "torchvision is not installed": ModuleNotFoundError("No module named 'torchvision'"),
}


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS.keys())
def test_missing_files_without_a_download_say_what_to_install(nothing_here, monkeypatch, reason):
    real = builtins.__import__

    def no_torchvision(name, *arguments, **keywords):
        if name.startswith("torchvision"):
            raise reason
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", no_torchvision)
    with pytest.raises(UserError, match="install Debian's package dataset-fashion-mnist") as error:
        load(nothing_here)
    text = one_line(error)
    assert str(reason).splitlines()[0] in text
    assert str(nothing_here / "FashionMNIST" / "raw") in text
