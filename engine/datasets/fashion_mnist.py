"""Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): 70,000 grey images of 28 x 28 pixels."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from engine.dataset import Dataset, register
from engine.errors import UserError
from engine.types import ByteArray, ImageSet

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

    def ensure(self, folder: Path) -> None:
        if not self.is_here(folder):
            _download(folder)

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


def _download(folder: Path) -> None:
    try:
        from torchvision.datasets import FashionMNIST  # slow to import; for a download only

        FashionMNIST(str(folder), download=True)
    except (OSError, RuntimeError, ImportError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"data.dataset: fashion-mnist is not on this machine and could not be downloaded "
            f"({reason}); install Debian's package dataset-fashion-mnist, or put the four "
            f"*-ubyte.gz files into {folder / 'FashionMNIST' / 'raw'}"
        ) from error


def _read_part(folder: Path, part: str, num_images: int) -> ImageSet:
    images = _read_idx(folder / f"{part}-images-idx3-ubyte.gz", (num_images, 28, 28))
    labels = _read_idx(folder / f"{part}-labels-idx1-ubyte.gz", (num_images,)).astype(np.int64)
    if labels.max() > 9:
        raise UserError(f"data.dataset: {folder} holds a label above 9; it is not Fashion-MNIST")
    return ImageSet(images[:, None], labels, labels, np.arange(num_images))


def _read_idx(path: Path, shape: tuple[int, ...]) -> ByteArray:
    """Read an IDX file: a magic number, big-endian sizes, then bytes (LeCun et al.)."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"data.dataset: {path} cannot be read ({error}); fetch it again") from error
    head = 4 * (1 + len(shape))
    declared = struct.unpack(f">{len(shape)}I", raw[4:head]) if len(raw) >= head else ()
    if raw[:4] != bytes([0, 0, 8, len(shape)]) or declared != shape:
        raise UserError(f"data.dataset: {path} is not the file that was expected; fetch it again")
    if len(raw) != head + int(np.prod(shape)):
        raise UserError(f"data.dataset: {path} is cut short; fetch it again")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape)
