"""Datasets that people add to this installation: added, listed, shown and removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.data.added.dataset import AddedDataset
from engine.data.added.reading import read
from engine.data.added.refusal import Refused
from engine.data.added.shelf import added_to, require_free_name, unreadable
from engine.data.added.staging import TEST_SHARE, Options, Progress, Staged, stage
from engine.data.added.staging import remove as remove_from
from engine.data.datasets.base import DATASETS
from engine.errors import UserError
from tasks.settings import make_data_dir, settings


@dataclass(frozen=True)
class Wanted:
    """What a person asks to add.

    Attributes:
        path: What.
        name: Under which name.
        test: Where its test part is; without one, `test_share` of the images is drawn for it.
        test_share: See there; None is a fifth.
        size: The side of the stored images; None is their median, up to 64.
    """

    path: Path
    name: str
    test: Path | None = None
    test_share: float | None = None
    size: int | None = None


def staged(wanted: Wanted, progress: Progress = lambda what, done, total: None) -> Staged:
    """Read and check a dataset, and write it aside: `keep` adds it, `Staged.drop` forgets it.

    Raises:
        UserError: It cannot be added; nothing is left of it.
    """
    make_data_dir()
    require_free_name(settings().dataset_dir, wanted.name)
    parts = read(wanted.path, wanted.test)
    if wanted.test_share is not None and "test" in parts.parts:
        raise Refused("--test-share", "there is a test part already; leave it out")
    share = TEST_SHARE if wanted.test_share is None else wanted.test_share
    options = Options(wanted.size, share)
    folder = settings().dataset_dir
    return stage(parts, wanted.name, folder, options=options, progress=progress)


def keep(one: Staged) -> AddedDataset:
    """Add what was staged.

    Raises:
        UserError: The same is here already, or the name was taken meanwhile.
    """
    try:
        if one.same_as is not None:
            raise UserError(
                f"the same images and labels are here already, as {one.same_as}; nothing was added"
            )
        return one.keep(settings().dataset_dir)
    except UserError:
        one.drop()
        raise


def added() -> list[AddedDataset]:
    """Return every dataset that people have added."""
    found = added_to(settings().dataset_dir).values()
    return [one for one in found if isinstance(one, AddedDataset)]


def damaged() -> list[str]:
    """Return the names under which something is kept that cannot be read."""
    return unreadable(settings().dataset_dir)


def find(name: str) -> AddedDataset:
    """Return an added dataset.

    Raises:
        UserError: There is none of the name.
    """
    found = {one.name: one for one in added()}
    if name in found:
        return found[name]
    if name in DATASETS.all():
        raise UserError(f"NAME: {name} comes with the program; name one that was added")
    raise UserError(f"NAME: nothing added is called {name[:80]!r}; see `caat data list`")


def remove(name: str) -> str:
    """Remove a dataset; what runs have recorded of it stays.

    Raises:
        UserError: There is none of the name.
    """
    if name not in damaged():
        find(name)
    remove_from(settings().dataset_dir, name)
    return f"Removed {name}; what runs have recorded of it stays"
