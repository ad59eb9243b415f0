"""Which reader reads a path."""

from pathlib import Path

import numpy as np

from engine.data.added.archive import entries, is_zip
from engine.data.added.arrays import read_npz
from engine.data.added.incoming import Incoming, Parts
from engine.data.added.parquet import read_parquet
from engine.data.added.pictures import read_csv, read_tree
from engine.data.added.refusal import Refused
from engine.data.added.trees import Archive, Folder

KINDS = ".npz, .zip, .csv, .parquet, or a folder of class folders"


def read(path: Path, test: Path | None = None) -> Parts:
    """Return what a path holds, and as its test part what another one holds.

    Raises:
        Refused: It is not there, or holds nothing that can be added.
    """
    parts = _read(path)
    if test is None:
        return parts
    if "test" in parts.parts:
        raise Refused("--test", f"{path.name} has a test part of its own; leave one of them out")
    other = _read(test)
    if "test" in other.parts:
        raise Refused(test.name, "has two parts; name one that is the test part alone")
    given = renamed(other.parts["train"], parts.parts["train"].class_names)
    return Parts({**parts.parts, "test": given}, parts.remarks + other.remarks)


def _read(path: Path) -> Parts:
    if path.is_dir():
        shards = sorted(path.glob("*.parquet"))
        return read_parquet(shards, path.name) if shards else read_tree(Folder(path))
    if not path.is_file():
        raise Refused(path, "is not there, or is no file")
    ending = path.suffix.lower()
    if not path.stat().st_size:
        raise Refused(path.name, "is empty")
    if ending == ".csv":
        return read_csv(path)
    if ending == ".parquet":
        return read_parquet([path], path.name)
    if ending in (".npz", ".zip"):
        return _read_zip(path, ending)
    raise Refused(path.name, f"is of no kind that can be added; allowed: {KINDS}")


def _read_zip(path: Path, ending: str) -> Parts:
    if not is_zip(path):
        raise Refused(path.name, f"is no {ending[1:]} file, whatever its name says")
    if ending == ".npz" or any(one.name == "x.npy" for one in entries(path)):
        return read_npz(path)
    return read_tree(Archive(path))


def renamed(incoming: Incoming, names: tuple[str, ...]) -> Incoming:
    """Return a test part with the classes of training, of which it may lack some.

    Raises:
        Refused: It has a class that training has not.
    """
    numbers = {name: index for index, name in enumerate(names)}
    for label in np.unique(incoming.labels).tolist():
        if incoming.class_names[label] not in numbers:
            name = incoming.class_names[label]
            raise Refused(incoming.title, f"has the class {name!r}, which training has not")
    table = np.array([numbers.get(name, -1) for name in incoming.class_names], dtype=np.int64)
    incoming.labels, incoming.class_names = table[incoming.labels], names
    return incoming
