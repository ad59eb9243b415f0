"""Zip archives, whose directory is checked before anything in them is unpacked."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from engine.data.added.limits import (
    HONEST_BYTES,
    LONGEST_PATH,
    MOST_BYTES,
    MOST_DIRECTORY,
    MOST_ENTRIES,
    MOST_RATIO,
)
from engine.data.added.refusal import Refused, told

_END, _END_SIZE = b"PK\x05\x06", 22
_END64, _LOCATOR64, _LOCATOR64_SIZE = b"PK\x06\x06", b"PK\x06\x07", 20
_LOCAL, _LOCAL_SIZE = b"PK\x03\x04", 30
_AT_A_TIME = 2**20
_DAMAGED = (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError, EOFError)


@dataclass(frozen=True)
class Entry:
    """A file in an archive: enough to unpack it without the archive's directory.

    Attributes:
        name: Its path in the archive.
        offset: Where its own header begins.
        packed, size: Bytes in the archive, and of the file.
        deflated: Whether it is packed, else it stands as it is.
        crc: Its checksum.
    """

    name: str
    offset: int
    packed: int
    size: int
    deflated: bool
    crc: int


def is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in (_LOCAL, _END)


def entries(path: Path) -> list[Entry]:
    """Return the files of an archive, once its directory is found to be an honest one.

    Raises:
        Refused: It is damaged, or holds what no archive of images needs.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        _require_small_directory(path, file, size)
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
            directory = archive.start_dir
    except _DAMAGED as error:
        raise Refused(path.name, f"is no zip archive that can be read ({error})") from error
    found = [_checked(path, info) for info in listed if not info.is_dir()]
    for info in listed:
        _require_safe_name(path, info.filename)
    _require_distinct(path, found)
    _require_apart(path, found, directory)
    _require_honest(path, found, size)
    return found


def _require_small_directory(path: Path, file: BinaryIO, size: int) -> None:
    """Read how large the directory says it is, before it is read."""
    start = max(size - 2**16 - _END_SIZE, 0)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise Refused(path.name, "is no whole zip archive; it is cut short or something else")
    number, length = struct.unpack("<HI", tail[at + 10 : at + 16])
    if number == 0xFFFF or length == 0xFFFFFFFF:
        number, length = _of_zip64(path, file, start + at)
    if number > MOST_ENTRIES or length > MOST_DIRECTORY:
        raise Refused(path.name, f"lists {number:,} files; allowed: {MOST_ENTRIES:,} at most")


def _of_zip64(path: Path, file: BinaryIO, end: int) -> tuple[int, int]:
    file.seek(max(end - _LOCATOR64_SIZE, 0))
    locator = file.read(_LOCATOR64_SIZE)
    if locator[:4] != _LOCATOR64:
        return 0xFFFF, 0
    file.seek(min(struct.unpack("<Q", locator[8:16])[0], 2**62))
    record = file.read(56)
    if record[:4] != _END64 or len(record) < 56:
        raise Refused(path.name, "is no whole zip archive; it is cut short or something else")
    number, length = struct.unpack("<QQ", record[32:48])
    return number, length


def _checked(path: Path, info: zipfile.ZipInfo) -> Entry:
    where = f"{path.name}, {info.filename[:LONGEST_PATH]}"
    mode = info.external_attr >> 16
    if info.flag_bits & 0x1:
        raise Refused(where, "is encrypted; save the archive without a password")
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        raise Refused(where, "is a link or a device, not a file; put the file itself in")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused(where, "is packed in a way that is not read; use deflate or none")
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        raise Refused(where, "has two sizes in the directory; pack the archive again")
    return Entry(
        _name(info),
        info.header_offset,
        info.compress_size,
        info.file_size,
        info.compress_type == zipfile.ZIP_DEFLATED,
        info.CRC,
    )


def _name(info: zipfile.ZipInfo) -> str:
    """Return a name as it is meant: many programs write UTF-8 without saying so."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _require_safe_name(path: Path, name: str) -> None:
    why = unsafe(name)
    if why is not None:
        raise Refused(f"{path.name}, {name[:LONGEST_PATH]}", why)


def unsafe(name: str) -> str | None:
    """Say why a relative path may not be used, or nothing."""
    if len(name) > LONGEST_PATH:
        return f"is a name of {len(name):,} characters; allowed: {LONGEST_PATH:,}"
    if not name.strip() or "\0" in name:
        return "is no name of a file"
    if name.startswith(("/", "\\")) or name[1:2] == ":":
        return "is an absolute name; use one below the folder"
    if "\\" in name:
        return "has a backslash in its name; use / between folders"
    if ".." in name.split("/"):
        return "leads out of the folder; use a name without .."
    return None


def _require_distinct(path: Path, found: list[Entry]) -> None:
    seen: dict[str, str] = {}
    for entry in found:
        twin = seen.setdefault(entry.name.casefold(), entry.name)
        if twin != entry.name:
            raise Refused(
                f"{path.name}, {entry.name}", f"differs from {twin} in upper and lower case only"
            )
    if len(seen) < len(found):
        names = sorted(entry.name for entry in found)
        double = next(a for a, b in pairwise(names) if a == b)
        raise Refused(f"{path.name}, {double}", "is in the archive twice")


def _require_apart(path: Path, found: list[Entry], directory: int) -> None:
    """Refuse files that share bytes, by which a small archive unpacks to a huge one."""
    end = 0
    for entry in sorted(found, key=lambda one: one.offset):
        if entry.offset < end or entry.offset + _LOCAL_SIZE + entry.packed > directory:
            raise Refused(
                f"{path.name}, {entry.name}", "shares its bytes with others; pack the archive again"
            )
        end = entry.offset + _LOCAL_SIZE + entry.packed


def _require_honest(path: Path, found: list[Entry], size: int) -> None:
    total = sum(entry.size for entry in found)
    if total > MOST_BYTES or (total > HONEST_BYTES and total > MOST_RATIO * size):
        raise Refused(
            path.name,
            f"unpacks from {told(size)} to {told(total)}; allowed: {MOST_RATIO} times as much, and "
            f"{told(MOST_BYTES)}",
        )


class Unpacked:
    """A file of an archive, read from its begin on: never more than its directory says.

    Raises:
        Refused: From any read: the file is damaged.
    """

    def __init__(self, path: Path, entry: Entry) -> None:
        self._where, self._entry = f"{path.name}, {entry.name}", entry
        self._file = path.open("rb")
        self._file.seek(entry.offset)
        header = self._file.read(_LOCAL_SIZE)
        if len(header) < _LOCAL_SIZE or header[:4] != _LOCAL:
            self._file.close()
            raise Refused(self._where, "does not begin where the archive says; pack it again")
        self._file.seek(sum(struct.unpack("<HH", header[26:30])), os.SEEK_CUR)
        self._pieces = self._unpack()
        self._rest, self._crc, self._num_read = b"", 0, 0

    def close(self) -> None:
        self._file.close()

    def read(self, number: int) -> bytes:
        """Return so many bytes, fewer only at the end."""
        parts, missing = [], number
        while missing > 0:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = piece
            parts.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def _unpack(self) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-15) if self._entry.deflated else None
        left, packed = self._entry.size, b""
        to_read = self._entry.packed
        while left > 0:
            if not packed:
                packed = self._file.read(min(_AT_A_TIME, to_read))
                to_read -= len(packed)
            piece, packed = self._inflated(inflate, packed, left)
            if not piece and not packed and (not to_read or (inflate and inflate.eof)):
                break
            left -= len(piece)
            self._crc = zlib.crc32(piece, self._crc)
            yield piece
        if left or self._crc != self._entry.crc:
            raise Refused(self._where, "is cut short or damaged; pack the archive again")

    def _inflated(
        self, inflate: zlib._Decompress | None, packed: bytes, left: int
    ) -> tuple[bytes, bytes]:
        if inflate is None:
            return packed[:left], b""
        try:
            piece = inflate.decompress(packed, min(left, _AT_A_TIME))
        except zlib.error as error:
            raise Refused(self._where, f"cannot be unpacked ({error})") from error
        return piece, inflate.unconsumed_tail


def unpacked(path: Path, entry: Entry) -> bytes:
    """Return the whole of a file of an archive."""
    file = Unpacked(path, entry)
    try:
        return file.read(entry.size)
    finally:
        file.close()
