"""What stands for a dataset that is unknown here, so that a stored scenario stays readable."""

from pathlib import Path

from engine.data.datasets.base import Dataset, datasets
from engine.errors import UserError
from engine.types import ImageSet


class AbsentDataset(Dataset):
    """One that was removed, or was added on another machine: nothing but its name is known."""

    is_known = False
    class_names = ()
    channels, size = 3, 32
    train_counts = test_counts = ()
    held_out_per_class = 0

    def __init__(self, name: str) -> None:
        self.name = self.title = name

    def is_here(self, folder: Path) -> bool:
        return False

    def ensure(self, folder: Path) -> None:
        raise UserError(
            f"data.dataset: {self.name!r} is not on this machine (any more); "
            f"`caat data add PATH --name NAME` adds a dataset, `caat data list` shows them"
        )

    def load(self, folder: Path) -> tuple[ImageSet, ImageSet]:
        self.ensure(folder)
        raise AssertionError


def dataset_called(name: str) -> Dataset:
    """Return the dataset of a name, or what stands for one that is unknown here."""
    return datasets().get(name) or AbsentDataset(name)
