"""What a dataset is: a source of labelled images with its facts, and the table of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from engine.data.folder import dataset_folder
from engine.plugin_host import UnfitError
from engine.registry import Table
from engine.types import ImageSet

Part = Literal["train", "test"]


class Dataset(ABC):
    """A source of labelled images; each subclass stands in its own file of this folder."""

    name: str
    title: str
    class_names: tuple[str, ...]
    channels: int
    size: int
    train_counts: tuple[int, ...]
    """Images per class in the official training part."""
    test_counts: tuple[int, ...]
    held_out_per_class: int
    """Images per class that the meta set and the validation set hold unless a scenario says."""
    knows_its_noise: bool = False
    """Whether training images come with a given label beside the true one."""
    is_known: bool = True
    """Whether anything but its name is known here."""
    is_added: bool = False
    """Whether a person has added it to this installation."""

    @abstractmethod
    def load(self, folder: Path) -> tuple[ImageSet, ImageSet]:
        """Return the official training and test parts.

        Args:
            folder: Where downloads are kept; made if a download needs it.

        Raises:
            UserError: The files are not there and cannot be fetched.
        """

    def is_here(self, folder: Path) -> bool:
        """Tell whether a run can start without a download; a bundled dataset always is."""
        return True

    def stored(self, folder: Path) -> list[Path]:
        """Return the files that `load` reads; a bundled dataset has none of its own."""
        return []

    def ensure(self, folder: Path) -> None:  # noqa: B027 - a bundled dataset has nothing to fetch
        """Fetch the files if they are not there yet; a bundled dataset has none.

        Raises:
            UserError: They cannot be fetched.
        """

    def origin(self, part: Part, index: int) -> str:
        """Say where an image of an official part comes from: a file or a row that can be mended.

        Args:
            part: The part.
            index: Its position there, as `ImageSet.source` has it.
        """
        return f"image {index} of the {part} part"


class Datasets(Table[Dataset]):
    """The datasets; an installed one is checked by what it says of itself, without its images."""

    def _entry(self, found: type[Dataset]) -> tuple[str, Dataset]:
        made = self._entries.get(getattr(found, "name", ""))
        source = made if type(made) is found else found()
        for fault in faults(source):
            raise UnfitError(fault)
        return source.name, source


DATASETS = Datasets("dataset", "engine.data.datasets", base=Dataset)


def register(dataset: type[Dataset]) -> type[Dataset]:
    """Class decorator: put a dataset on the menu."""
    DATASETS.add(dataset.name, dataset())
    return dataset


def faults(source: Dataset) -> Iterator[str]:
    """Say what a dataset tells of itself that a run cannot use, before any image is read."""
    said = {name for name in Dataset.__annotations__ if hasattr(source, name)}
    if missing := sorted(set(Dataset.__annotations__) - said):
        yield f"it does not say its {missing[0]}"
        return
    names, counts = source.class_names, (source.train_counts, source.test_counts)
    if len(names) < 2 or len(set(names)) < len(names):
        yield "its class_names are not at least two different ones"
    if any(len(given) != len(names) for given in counts):
        yield "its train_counts and test_counts do not have a number for each class"
    elif not 0 < 2 * source.held_out_per_class < min(source.train_counts):
        yield "its held_out_per_class, taken twice, is not less than its rarest class"
    if source.channels < 1 or source.size < 1:
        yield "its images have no channels or no size"


def datasets() -> dict[str, Dataset]:
    """Return every dataset by name: what comes with the program, then what people have added."""
    bundled, folder = DATASETS.all(), dataset_folder()
    if folder is None:
        return bundled
    shelf: Any = import_module("engine.data.added.shelf")  # which needs this module
    added: dict[str, Dataset] = shelf.added_to(folder)
    return bundled | added | bundled
