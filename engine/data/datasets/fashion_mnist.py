"""Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): 70,000 grey images of 28 x 28 pixels."""

from pathlib import Path

import numpy as np

from engine.data.datasets._torchvision import fetch, read_idx
from engine.data.datasets.base import Dataset, register
from engine.errors import UserError
from engine.types import ImageSet

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the original files."""


@register
class FashionMnist(Dataset):
    """Read from Debian's package or from an earlier download, else downloaded by torchvision."""

    name = "fashion-mnist"
    title = "Fashion-MNIST"
    class_names = (
        "T-shirt",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    channels = 1
    size = 28
    train_counts = (6000,) * 10
    test_counts = (1000,) * 10
    held_out_per_class = 100

    def is_here(self, folder: Path) -> bool:
        return _find(folder) is not None

    def stored(self, folder: Path) -> list[Path]:
        place = _find(folder)
        return [] if place is None else sorted(place.glob("*-ubyte.gz"))

    def ensure(self, folder: Path) -> None:
        if not self.is_here(folder):
            by_hand = (
                f"install Debian's package dataset-fashion-mnist, or put the four *-ubyte.gz files "
                f"into {folder / 'FashionMNIST' / 'raw'}"
            )
            fetch("FashionMNIST", folder, {}, name=self.name, by_hand=by_hand)

    def load(self, folder: Path) -> tuple[ImageSet, ImageSet]:
        self.ensure(folder)
        source = _find(folder) or DEBIAN_FOLDER
        return _read_part(source, "train", 60_000), _read_part(source, "t10k", 10_000)


def _find(folder: Path) -> Path | None:
    """Return the folder that has the four files: Debian's, or torchvision's own layout."""
    for place in (DEBIAN_FOLDER, folder / "FashionMNIST" / "raw"):
        if len(list(place.glob("*-ubyte.gz"))) == 4:
            return place
    return None


def _read_part(folder: Path, part: str, num_images: int) -> ImageSet:
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", (num_images, 28, 28))
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", (num_images,)).astype(np.int64)
    if labels.max() > 9:
        raise UserError(f"data.dataset: {folder} holds a label above 9; it is not Fashion-MNIST")
    return ImageSet(images[:, None], labels, labels, np.arange(num_images))
