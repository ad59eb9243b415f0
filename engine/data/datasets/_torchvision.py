"""Datasets whose files torchvision fetches. They are read here, without torchvision.

A torchvision that does not match its torch cannot be imported ("operator torchvision::nms does not
exist"), and reading a file needs none of it. So torchvision is asked for a download only.
"""

import gzip
import pickle
import struct
import zlib
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.datasets.base import Dataset
from engine.errors import UserError
from engine.types import ByteArray, ImageSet


class TorchvisionDataset(Dataset):
    """A dataset in the layout that torchvision leaves below its root folder."""

    fetched_by: str
    """Name of the class in ``torchvision.datasets``."""
    splits: tuple[dict[str, object], ...] = ({},)
    """Arguments of that class, one call each, that fetch everything."""
    files: tuple[str, ...]
    """What has to be there, below the folder of downloads; each may be gzipped."""
    address: str
    """Where a person finds the files."""

    def is_here(self, folder: Path) -> bool:
        return len(self.stored(folder)) == len(self.files)

    def stored(self, folder: Path) -> list[Path]:
        found = [plain_or_gzipped(folder / name) for name in self.files]
        return [path for path in found if path is not None]

    def ensure(self, folder: Path) -> None:
        if self.is_here(folder):
            return
        place = (folder / self.files[0]).parent
        by_hand = f"put the unpacked files of {self.address} into {place}"
        for options in self.splits:
            fetch(self.fetched_by, folder, options, name=self.name, by_hand=by_hand)

    def load(self, folder: Path) -> tuple[ImageSet, ImageSet]:
        self.ensure(folder)
        parts = {"train": self.train_counts, "test": self.test_counts}
        train, test = (
            self._checked(folder, *self.read(folder, part), num_images=sum(counts))
            for part, counts in parts.items()
        )
        return train, test

    @abstractmethod
    def read(self, folder: Path, part: str) -> tuple[ByteArray, npt.NDArray[Any]]:
        """Return images (N, channels, height, width) and labels (N,) of ``train`` or ``test``."""

    def _checked(
        self, folder: Path, images: ByteArray, labels: npt.NDArray[Any], *, num_images: int
    ) -> ImageSet:
        expected = (num_images, self.channels, self.size, self.size)
        if images.shape != expected or images.dtype != np.uint8 or labels.shape != (num_images,):
            raise UserError(
                f"data.dataset: {folder} holds images {images.shape} {images.dtype} with "
                f"{labels.size} labels where {self.title} has {expected} uint8; fetch it again"
            )
        labels = labels.astype(np.int64)
        if labels.min() < 0 or labels.max() >= len(self.class_names):
            raise UserError(
                f"data.dataset: {folder} holds a label that is not 0 to "
                f"{len(self.class_names) - 1}; it is not {self.title}"
            )
        return ImageSet(np.ascontiguousarray(images), labels, labels, np.arange(num_images))


def fetch(
    fetched_by: str, folder: Path, options: dict[str, object], *, name: str, by_hand: str
) -> None:
    """Let a class of ``torchvision.datasets`` download into a folder.

    Raises:
        UserError: It cannot; one line with the reason and what to do by hand.
    """
    try:
        import torchvision.datasets  # slow to import; for a download only

        getattr(torchvision.datasets, fetched_by)(str(folder), download=True, **options)
    except (OSError, RuntimeError, ImportError) as error:
        raise UserError(
            f"data.dataset: {name} is not on this machine and could not be downloaded "
            f"({_first_line(error)}); {by_hand}"
        ) from error


def plain_or_gzipped(path: Path) -> Path | None:
    """Return the file, else its gzipped form, else None."""
    forms = (path, path.with_name(f"{path.name}.gz"))
    return next((form for form in forms if form.is_file()), None)


def read_idx(path: Path, shape: tuple[int, ...]) -> ByteArray:
    """Read an IDX file: a magic number, big-endian sizes, then bytes (LeCun et al.)."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error) from error
    head = 4 * (1 + len(shape))
    declared = struct.unpack(f">{len(shape)}I", raw[4:head]) if len(raw) >= head else ()
    if raw[:4] != bytes([0, 0, 8, len(shape)]) or declared != shape:
        raise UserError(f"data.dataset: {path} is not the file that was expected; fetch it again")
    if len(raw) != head + int(np.prod(shape)):
        raise UserError(f"data.dataset: {path} is cut short; fetch it again")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape)


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles numpy arrays, and refuses every other name: a pickle can call anything."""

    _NAMES = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) not in self._NAMES:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return super().find_class(module_name.replace("numpy.core.", "numpy._core."), global_name)


def read_cifar(path: Path, labels_key: str) -> tuple[ByteArray, npt.NDArray[Any]]:
    """Read one batch file of CIFAR: images (N, 3, 32, 32) and labels (N,)."""
    try:
        with path.open("rb") as file:
            batch = ArrayUnpickler(file, encoding="latin1").load()
        images = np.asarray(batch["data"]).reshape(-1, 3, 32, 32)
        return images, np.asarray(batch[labels_key], dtype=np.int64)
    except _UNPICKLING as error:
        raise unreadable(path, error) from error


_UNPICKLING = (
    OSError,
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    ImportError,
    OverflowError,
    MemoryError,
    struct.error,
)
"""What damaged bytes can raise."""


def unreadable(path: Path, error: Exception) -> UserError:
    """Return the line that says that a file is damaged."""
    return UserError(f"data.dataset: {path} cannot be read ({_first_line(error)}); fetch it again")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
