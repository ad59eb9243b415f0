"""CIFAR-10 (Krizhevsky, 2009): 60,000 colour images of 32 x 32 pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.datasets._torchvision import TorchvisionDataset, read_cifar
from engine.data.datasets.base import register
from engine.types import ByteArray

_FOLDER = "cifar-10-batches-py"
_BATCHES = {
    "train": tuple(f"{_FOLDER}/data_batch_{number}" for number in range(1, 6)),
    "test": (f"{_FOLDER}/test_batch",),
}


@register
class Cifar10(TorchvisionDataset):
    """Ten classes of vehicles and animals; five training files and one of test images."""

    name = "cifar10"
    title = "CIFAR-10"
    class_names = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
    channels = 3
    size = 32
    train_counts = (5000,) * 10
    test_counts = (1000,) * 10
    held_out_per_class = 100
    fetched_by = "CIFAR10"
    files = _BATCHES["train"] + _BATCHES["test"]
    address = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"

    def read(self, folder: Path, part: str) -> tuple[ByteArray, npt.NDArray[Any]]:
        read = [read_cifar(folder / name, "labels") for name in _BATCHES[part]]
        images, labels = zip(*read, strict=True)
        return np.concatenate(images), np.concatenate(labels)
