"""Arrays in NumPy's format, of which numbers and text are read alone: nothing is unpickled."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.data.added.limits import MOST_BYTES
from engine.data.added.refusal import Refused, told

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
_DESCR = re.compile(r"'descr'\s*:\s*'([<>|=][a-zA-Z][0-9]{1,7})'")
_ORDER = re.compile(r"'fortran_order'\s*:\s*(True|False)")
_SHAPE = re.compile(r"'shape'\s*:\s*\(([0-9, ]{0,200})\)")
_KINDS = "uifUSb"
_AT_A_TIME = 2**23


class Source(Protocol):
    """What bytes are read from."""

    def read(self, number: int, /) -> bytes: ...


@dataclass(frozen=True)
class Header:
    """What an array says of itself.

    Attributes:
        shape: Its shape.
        dtype: Of numbers or text; never of objects.
        length: Bytes of the header.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    length: int

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(source: Source, where: str, size: int) -> Header:
    """Read the header of an array in a file of so many bytes.

    Raises:
        Refused: It is no array of numbers or text, or not as long as it says.
    """
    start = source.read(8)
    if start[:6] != _MAGIC or len(start) < 8 or start[6] not in (1, 2, 3):
        raise Refused(where, "is no array of NumPy; write it with numpy.savez")
    wide = 2 if start[6] == 1 else 4
    field = source.read(wide)
    length = struct.unpack("<H" if wide == 2 else "<I", field)[0] if len(field) == wide else 0
    if not 0 < length <= _LONGEST_HEADER:
        raise Refused(where, "has no header that can be read; write it with numpy.savez")
    text = source.read(length).decode("latin1")
    header = _parsed(text, where, 8 + wide + length)
    if header.num_bytes > MOST_BYTES:
        raise Refused(where, f"says {_shape(header)}, {told(header.num_bytes)}; that is too much")
    if header.length + header.num_bytes != size:
        raise Refused(
            where,
            f"says {_shape(header)} of {header.dtype}, {told(header.num_bytes)}, and has "
            f"{told(max(size - header.length, 0))}; write it again",
        )
    return header


def _parsed(text: str, where: str, length: int) -> Header:
    descr, order, shape = (rule.search(text) for rule in (_DESCR, _ORDER, _SHAPE))
    if re.search(r"'descr'\s*:\s*(\[|'[<>|=]?[OV])", text):
        raise Refused(where, "holds Python objects or records, not numbers; it is not opened")
    if descr is None or order is None or shape is None:
        raise Refused(where, "has no header that can be read; write it with numpy.savez")
    try:
        dtype = np.dtype(descr[1])
    except TypeError:
        raise Refused(where, f"holds {descr[1]}, which is no kind of number") from None
    if dtype.kind not in _KINDS:
        raise Refused(where, f"holds {dtype}; allowed: whole numbers, floats, text")
    sides = tuple(int(side) for side in shape[1].split(",") if side.strip())
    if order[1] == "True" and len(sides) > 1:
        raise Refused(where, "is in Fortran's order; write numpy.ascontiguousarray of it")
    return Header(sides, dtype, length)


def _shape(header: Header) -> str:
    return " x ".join(f"{side:,}" for side in header.shape) or "one number"


def read_whole(source: Source, header: Header, where: str) -> npt.NDArray[Any]:
    """Read a small array after its header."""
    data = source.read(header.num_bytes)
    _require_whole(len(data), header.num_bytes, where)
    return np.frombuffer(data, header.dtype).reshape(header.shape)


def read_rows(source: Source, header: Header, where: str) -> Iterator[npt.NDArray[Any]]:
    """Read an array after its header, some rows at a time."""
    row = math.prod(header.shape[1:]) * header.dtype.itemsize
    number = max(_AT_A_TIME // max(row, 1), 1)
    for start in range(0, header.shape[0], number):
        rows = min(number, header.shape[0] - start)
        data = source.read(rows * row)
        _require_whole(len(data), rows * row, where)
        yield np.frombuffer(data, header.dtype).reshape(rows, *header.shape[1:])
    source.read(1)  # so that the end is reached and the checksum compared


def _require_whole(has: int, wanted: int, where: str) -> None:
    if has < wanted:
        raise Refused(where, f"is cut short, {told(wanted - has)} are missing")
