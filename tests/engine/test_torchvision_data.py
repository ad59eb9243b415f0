"""The datasets that torchvision fetches, read from small files in its own layouts."""

import builtins
import gzip
import os
import pickle
import struct
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from engine.data.config import DataConfig
from engine.data.datasets._torchvision import TorchvisionDataset, read_cifar
from engine.data.datasets.base import datasets
from engine.data.preparation import prepare
from engine.errors import UserError

NAMES = [name for name, source in datasets().items() if isinstance(source, TorchvisionDataset)]
TRAIN, TEST = 5, 2
"""Images per class in the small files."""


def idx(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + bytes(array.tobytes())
    )


def write_mnist(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    prefix = "train" if part == "train" else "t10k"
    (raw / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images[:, 0]))
    packed = gzip.compress(idx(labels.astype(np.uint8)))
    (raw / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(packed)


def python2_pickle(batch: dict[str, object]) -> bytes:
    """Pickle as the released files are: protocol 2, with numpy's module of that time."""
    return pickle.dumps(batch, protocol=2).replace(
        b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
    )


def write_cifar10(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    place = folder / "cifar-10-batches-py"
    place.mkdir(exist_ok=True)
    names = [f"data_batch_{n}" for n in range(1, 6)] if part == "train" else ["test_batch"]
    pieces = np.array_split(np.arange(len(labels)), len(names))
    for name, piece in zip(names, pieces, strict=True):
        data = images[piece].reshape(len(piece), -1)
        batch = {"batch_label": name, "labels": labels[piece].tolist(), "data": data}
        (place / name).write_bytes(python2_pickle(batch))


def write_cifar100(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    (folder / "cifar-100-python").mkdir(exist_ok=True)
    batch = {
        "coarse_labels": (labels // 5).tolist(),
        "fine_labels": labels.tolist(),
        "data": images.reshape(len(images), -1),
    }
    (folder / "cifar-100-python" / part).write_bytes(python2_pickle(batch))


def write_svhn(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    content = {
        "X": images.transpose(2, 3, 1, 0),
        "y": np.where(labels == 0, 10, labels).astype(np.uint8)[:, None],
    }
    savemat(folder / f"{part}_32x32.mat", content, do_compression=True)


WRITERS = {
    "mnist": write_mnist,
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "svhn": write_svhn,
}


def some_images(source: TorchvisionDataset, per_class: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(per_class)
    num_classes = len(source.class_names)
    labels = rng.permutation(np.repeat(np.arange(num_classes), per_class))
    shape = (len(labels), source.channels, source.size, source.size)
    return rng.integers(256, size=shape, dtype=np.uint8), labels


@pytest.fixture
def small(monkeypatch):
    """Let a dataset be one of a few images per class."""

    def shrink(name: str) -> TorchvisionDataset:
        source = datasets()[name]
        num_classes = len(source.class_names)
        monkeypatch.setattr(type(source), "train_counts", (TRAIN,) * num_classes)
        monkeypatch.setattr(type(source), "test_counts", (TEST,) * num_classes)
        return source

    return shrink


@pytest.fixture
def written(small, tmp_path):
    """Write a dataset's files and return it with what is in them."""

    def write(name: str):
        source = small(name)
        parts = {"train": some_images(source, TRAIN), "test": some_images(source, TEST)}
        for part, (images, labels) in parts.items():
            WRITERS[name](tmp_path, part, images, labels)
        return source, parts

    return write


def test_every_dataset_of_torchvision_has_a_small_one_here():
    assert sorted(WRITERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_images_and_labels_are_read_in_order(name, written, tmp_path):
    source, parts = written(name)
    assert source.is_here(tmp_path)
    for found, (images, labels) in zip(source.load(tmp_path), parts.values(), strict=True):
        assert found.images.dtype == np.uint8
        assert np.array_equal(found.images, images)
        assert np.array_equal(found.labels, labels)
        assert found.labels.dtype == np.int64
        assert np.array_equal(found.source, np.arange(len(labels)))


@pytest.mark.parametrize("name", NAMES)
def test_a_runs_data_are_made_of_them(name, written, tmp_path):
    source, _ = written(name)
    data = prepare(DataConfig(dataset=name, meta_per_class=1, val_per_class=1), 0, tmp_path)
    assert data.class_counts.tolist() == [TRAIN - 2] * len(source.class_names)


def test_published_sizes_and_names():
    totals = {n: (sum(datasets()[n].train_counts), sum(datasets()[n].test_counts)) for n in NAMES}
    assert totals == {
        "mnist": (60_000, 10_000),
        "cifar10": (50_000, 10_000),
        "cifar100": (50_000, 10_000),
        "svhn": (73_257, 26_032),
    }
    names = datasets()["cifar100"].class_names
    assert len(set(names)) == 100
    assert list(names) == sorted(names)
    assert (names[0], names[41], names[99]) == ("apple", "lawn mower", "worm")
    assert max(datasets()["svhn"].train_counts) > 2.9 * min(datasets()["svhn"].train_counts)


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith("data.dataset: ")
    return text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "reason",
    [
        OSError("Network is unreachable\nand more"),
        RuntimeError("operator torchvision::nms does not exist"),
        ModuleNotFoundError("No module named 'torchvision'"),
    ],
    ids=["no network", "cannot be imported", "not installed"],
)
def test_missing_files_without_a_download_say_what_to_put_where(
    name, reason, tmp_path, monkeypatch
):
    real = builtins.__import__

    def no_torchvision(wanted, *arguments, **keywords):
        if wanted.startswith("torchvision"):
            raise reason
        return real(wanted, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", no_torchvision)
    source = datasets()[name]
    assert not source.is_here(tmp_path)
    with pytest.raises(UserError) as error:
        source.load(tmp_path)
    text = one_line(error)
    assert str(reason).splitlines()[0] in text
    assert f"{source.address} into {(tmp_path / source.files[0]).parent}" in text


@pytest.mark.parametrize("name", NAMES)
def test_missing_files_are_asked_of_torchvision_once(name, small, tmp_path, monkeypatch):
    source = small(name)

    def download(root: str, *, download: bool, split: str | None = None) -> None:
        assert download
        for part, per_class in (("train", TRAIN), ("test", TEST)):
            if split in (None, part):
                WRITERS[name](Path(root), part, *some_images(source, per_class))

    package, module = ModuleType("torchvision"), ModuleType("torchvision.datasets")
    setattr(module, source.fetched_by, download)
    package.datasets = module
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
    assert len(source.load(tmp_path)[0]) == TRAIN * len(source.class_names)
    monkeypatch.delattr(module, source.fetched_by)
    source.ensure(tmp_path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["empty", "half", "noise", "text"])
def test_a_broken_file_is_one_line_to_the_user(name, damage, written, tmp_path):
    source, _ = written(name)
    path = next(p for p in sorted(tmp_path.rglob("*")) if p.is_file() and "meta" not in p.name)
    content = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "half": content[: len(content) // 2],
            "noise": np.random.default_rng(0).bytes(500),
            "text": b"<html>404</html>",
        }[damage]
    )
    with pytest.raises(
        UserError, match=r"cannot be read|not the file|cut short|fetch it again"
    ) as e:
        source.load(tmp_path)
    one_line(e)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_another_dataset_is_refused(name, written, tmp_path):
    source, parts = written(name)
    images, labels = parts["train"]
    WRITERS[name](tmp_path, "train", images[:-1], labels[:-1])
    with pytest.raises(UserError) as error:
        source.load(tmp_path)
    one_line(error)
    WRITERS[name](tmp_path, "train", images, labels + 60)
    with pytest.raises(UserError, match="a label that is not 0 to") as error:
        source.load(tmp_path)
    one_line(error)


def test_a_pickle_that_calls_something_is_not_obeyed(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "called"),)

    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({"data": Attack(), "labels": []}, protocol=2))
    with pytest.raises(UserError, match=r"it asks for (posix|nt|os)\.mkdir"):
        read_cifar(path, "labels")
    assert not (tmp_path / "called").exists()


@given(where=st.integers(0, 10_000), byte=st.integers(0, 255))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_changed_byte_of_a_pickle_is_read_or_told(where, byte, tmp_path):
    images = np.zeros((2, 3072), dtype=np.uint8)
    content = bytearray(python2_pickle({"labels": [1, 2], "data": images}))
    header = [n for n in range(len(content)) if n < 200 or n > len(content) - 60]
    content[header[where % len(header)]] = byte
    path = tmp_path / "batch"
    path.write_bytes(content)
    try:
        found, labels = read_cifar(path, "labels")
    except UserError as error:
        told, is_right = str(error), True
    else:
        told, is_right = "", found.shape[1:] == (3, 32, 32) and labels.dtype == np.int64
    assert is_right
    assert "\n" not in told
