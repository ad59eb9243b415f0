"""SVHN (Netzer et al., 2011): 99,289 colour images of house numbers, 32 x 32 pixels, cropped."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.datasets._torchvision import TorchvisionDataset, unreadable
from engine.data.datasets.base import register
from engine.types import ByteArray


@register
class Svhn(TorchvisionDataset):
    """Digits with unequal classes: three times as many ones as nines."""

    name = "svhn"
    title = "SVHN"
    class_names = tuple("0123456789")
    channels = 3
    size = 32
    train_counts = (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659)
    test_counts = (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595)
    held_out_per_class = 100
    fetched_by = "SVHN"
    splits = ({"split": "train"}, {"split": "test"})
    files = ("train_32x32.mat", "test_32x32.mat")
    address = "http://ufldl.stanford.edu/housenumbers/ (train_32x32.mat, test_32x32.mat)"

    def read(self, folder: Path, part: str) -> tuple[ByteArray, npt.NDArray[Any]]:
        # Imported here: it would take time from the start of every command.
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        path = folder / f"{part}_32x32.mat"
        try:
            content = loadmat(path, variable_names=("X", "y"))
            images = np.transpose(content["X"], (3, 2, 0, 1))  # from (height, width, channels, N)
            labels = content["y"].reshape(-1).astype(np.int64)
        except (
            OSError,
            MatReadError,
            ValueError,
            LookupError,
            TypeError,
            NotImplementedError,
            zlib.error,
        ) as error:
            raise unreadable(path, error) from error
        return images, np.where(labels == 10, 0, labels)  # Matlab counts from 1; 10 is the zero
