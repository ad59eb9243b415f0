"""A folder, or an archive of one: the files in it by name, without following a link."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from engine.data.added.archive import Entry, entries, unpacked, unsafe
from engine.data.added.limits import LARGEST_LIST, MOST_ENTRIES
from engine.data.added.refusal import Refused, told

_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
_MOST_DEEP = 20


class Tree(ABC):
    """Files below one place.

    Attributes:
        title: Its name in messages.
        names: Paths of all files, with / between folders, in order; hidden ones are left out.
    """

    title: str
    names: list[str]

    @abstractmethod
    def place(self, name: str) -> dict[str, Any]:
        """Return where a child process finds a file."""

    @abstractmethod
    def text(self, name: str) -> bytes:
        """Return the bytes of a list.

        Raises:
            Refused: It is too large, or cannot be read.
        """

    def origin(self, name: str) -> str:
        return name


def _is_shown(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return not any(part in _JUNK or part.startswith(".") for part in parts)


class Folder(Tree):
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root, self.title = root, root.name or str(root)
        self.names = []
        for name in self._walk("", 0):
            self.names.append(name)
            if len(self.names) > MOST_ENTRIES:
                raise Refused(self.title, f"has more than {MOST_ENTRIES:,} files")
        self.names.sort()

    def _walk(self, below: str, depth: int) -> Iterator[str]:
        where = f"{self.title}/{below}".rstrip("/")
        if depth > _MOST_DEEP:
            raise Refused(where, f"is more than {_MOST_DEEP} folders deep")
        with os.scandir(self.root / below) as found:
            for entry in found:
                name = f"{below}/{entry.name}".lstrip("/")
                if not _is_shown(entry.name):
                    continue
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISLNK(mode):
                    raise Refused(f"{self.title}/{name}", "is a link; put the file itself there")
                if stat.S_ISDIR(mode):
                    yield from self._walk(name, depth + 1)
                elif stat.S_ISREG(mode):
                    _require_text(name, self.title)
                    yield name
                else:
                    raise Refused(f"{self.title}/{name}", "is no file, but a pipe or a device")

    def place(self, name: str) -> dict[str, Any]:
        return {"path": str((self.root / name).absolute())}

    def text(self, name: str) -> bytes:
        return read_list(self.root / name)


class Archive(Tree):
    """A zip of a folder; where all its files are in one folder, that is the folder."""

    def __init__(self, file: Path) -> None:
        self.file, self.title = file, file.name
        found = {entry.name: entry for entry in entries(file) if _is_shown(entry.name)}
        for name in found:
            _require_text(name, self.title)
        self._entries: dict[str, Entry] = _without_one_folder(found)
        self.names = sorted(self._entries)

    def place(self, name: str) -> dict[str, Any]:
        entry = tuple(asdict(self._entries[name]).values())
        return {"path": str(self.file.absolute()), "entry": entry}

    def text(self, name: str) -> bytes:
        entry = self._entries[name]
        if entry.size > LARGEST_LIST:
            raise Refused(f"{self.title}, {name}", f"has {told(entry.size)}; that is too much")
        return unpacked(self.file, entry)


def _without_one_folder(found: dict[str, Entry]) -> dict[str, Entry]:
    """Leave a folder out that holds nothing but other folders, or a list, and is the only one."""
    tops = {name.partition("/")[0] for name in found}
    deep = all(name.count("/") >= 2 or name.endswith("/labels.csv") for name in found)
    if len(tops) != 1 or not deep or not found:
        return found
    return {name.partition("/")[2]: entry for name, entry in found.items()}


def read_list(file: Path) -> bytes:
    """Return the bytes of a text file.

    Raises:
        Refused: It is no file, or too large.
    """
    if not file.is_file():
        raise Refused(file.name, "is not there, or is no file")
    if file.stat().st_size > LARGEST_LIST:
        raise Refused(file.name, f"has {told(file.stat().st_size)}; allowed: {told(LARGEST_LIST)}")
    return file.read_bytes()


def _require_text(name: str, title: str) -> None:
    """Refuse names in no encoding, and those that could not be used in an archive either."""
    why = unsafe(name)
    try:
        name.encode()
    except UnicodeEncodeError:
        why = "has a name that is no text in UTF-8; rename it"
    if why is not None:
        shown = name.encode("utf-8", "backslashreplace").decode()
        raise Refused(f"{title}, {shown}", why)


__all__ = ["Archive", "Folder", "Tree", "read_list"]
