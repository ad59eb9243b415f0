"""MNIST (LeCun, Cortes and Burges, 1998): 70,000 grey images of 28 x 28 pixels."""

from pathlib import Path
from typing import Any

import numpy.typing as npt

from engine.data.datasets._torchvision import TorchvisionDataset, plain_or_gzipped, read_idx
from engine.data.datasets.base import register
from engine.types import ByteArray

_RAW = "MNIST/raw"


@register
class Mnist(TorchvisionDataset):
    """Handwritten digits."""

    name = "mnist"
    title = "MNIST"
    class_names = tuple("0123456789")
    channels = 1
    size = 28
    train_counts = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    test_counts = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    held_out_per_class = 100
    fetched_by = "MNIST"
    files = tuple(
        f"{_RAW}/{part}-{kind}-ubyte"
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    )
    address = "https://ossci-datasets.s3.amazonaws.com/mnist/ (four *-ubyte.gz)"

    def read(self, folder: Path, part: str) -> tuple[ByteArray, npt.NDArray[Any]]:
        num_images = sum(self.train_counts if part == "train" else self.test_counts)
        prefix = folder / _RAW / ("train" if part == "train" else "t10k")
        images = _read(Path(f"{prefix}-images-idx3-ubyte"), (num_images, 28, 28))
        return images[:, None], _read(Path(f"{prefix}-labels-idx1-ubyte"), (num_images,))


def _read(path: Path, shape: tuple[int, ...]) -> ByteArray:
    return read_idx(plain_or_gzipped(path) or path, shape)
