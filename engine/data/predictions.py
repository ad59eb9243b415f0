"""Predictions that another tool made: read so that nothing is executed or believed unread.

A file has the columns ``label``, ``clean`` and ``attacked``, or ``attacked_NAME`` for several
attacks: one row an image, classes from 0. An npz may hold logits (N, C) in place of predictions.
"""

from __future__ import annotations

import csv
import io
import math
import zipfile
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import UserError
from engine.types import IntArray

FIELD = "PREDICTIONS"
LARGEST = 2 * 2**30
"""Bytes of a file, and of what it says that it unpacks to."""
MOST_ROWS = 5_000_000
MOST_CLASSES = 1_000
ATTACKED = "attacked"
_NEEDED = ("label", "clean")
Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Predictions:
    """What a model of another tool said of N images.

    Attributes:
        label, clean: (N,) the class, and the class predicted without an attack.
        attacked: (N,) predicted under each attack, by its name; "" where there is but one.
    """

    label: IntArray
    clean: IntArray
    attacked: dict[str, IntArray]


class _Wrong(ValueError):  # noqa: N818 - said to whoever reads, never to a person
    """What is wrong with a file, in words."""


def read_predictions(
    file: Path, *, num_classes: int | None = None, called: str = ""
) -> Predictions:
    """Read and check a file of predictions: .csv, .npz or .parquet.

    Args:
        file: Which.
        num_classes: Of the data, if they are known; else the labels tell.
        called: What the file is called in a mistake, if that is not its path.

    Raises:
        UserError: It cannot be read, or a column, a row or a value is not what it has to be.
    """
    told = f"{FIELD}: {called or file}"
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise UserError(f"{told} is no {', '.join(_READERS)}; write one of these")
    try:
        size = file.stat().st_size
        if size > LARGEST:
            raise _Wrong(f"it has {size:,} bytes, allowed are {LARGEST:,}")
        return _checked(read(file), num_classes)
    except _Wrong as error:
        raise UserError(f"{told}: {error}") from None
    except Exception as error:  # noqa: BLE001 - a damaged file fails in any way it likes
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"{told} cannot be read ({error.strerror}); name a file") from None
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"{told} cannot be read as {file.suffix} ({why})") from None


def _read_csv(file: Path) -> Columns:
    with file.open(encoding="utf-8-sig", newline="") as handle:
        rows = csv.reader(handle)
        names = [name.strip() for name in next(rows, [])]
        _require_names(names)
        values = array("q")
        for number, row in enumerate(rows, 2):
            if not row:
                continue
            if len(row) != len(names):
                raise _Wrong(f"line {number} has {len(row)} fields, the first has {len(names)}")
            pairs = zip(row, names, strict=True)
            values.extend(_class(text, number, name) for text, name in pairs)
            if len(values) > MOST_ROWS * len(names):
                raise _Wrong(f"it has more than {MOST_ROWS:,} rows")
    table = np.frombuffer(values, dtype=np.int64).reshape(-1, len(names))
    return dict(zip(names, table.T, strict=True))


def _class(text: str, line: int, name: str) -> int:
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit() and len(stripped) < 10):
        raise _Wrong(f"line {line}, {name}: {text[:40]!r} is no class; write a whole number from 0")
    return int(stripped)


def _read_npz(file: Path) -> Columns:
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if sum(entry.file_size for entry in entries.values()) > LARGEST:
            raise _Wrong(f"it would unpack to more than {LARGEST:,} bytes")
        names = {name: name.removesuffix(".npy") for name in entries}
        if len(names) > 100 or len(entries) != len(archive.infolist()):
            raise _Wrong("it has more than 100 arrays, or two of one name")
        _require_names(list(names.values()))
        return {
            column: _array(archive, entries[name], column)
            for name, column in names.items()
            if column in _NEEDED or _is_attack(column)
        }


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, column: str) -> npt.NDArray[Any]:
    """Read one array, once its header agrees with its size; nothing is unpickled."""
    with archive.open(entry) as handle:
        version = np.lib.format.read_magic(handle)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if header is None:
            raise _Wrong(f"{column} is in a format of numpy that is not known: {version}")
        shape, fortran, dtype = header(handle)
        if dtype.hasobject or dtype.kind not in "iufb":
            raise _Wrong(f"{column} holds {dtype}, which is neither whole numbers nor logits")
        if len(shape) not in (1, 2) or not all(0 < n <= MOST_ROWS for n in shape):
            raise _Wrong(f"{column} is said to be {' x '.join(map(str, shape)) or 'one number'}")
        told = math.prod(shape) * dtype.itemsize
        if told > entry.file_size:
            raise _Wrong(f"{column} is said to be {told:,} bytes long and has {entry.file_size:,}")
        content = handle.read(told)
    flat = np.frombuffer(content, dtype=dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _read_parquet(file: Path) -> Columns:
    import pyarrow.parquet as pq

    with pq.ParquetFile(io.BytesIO(file.read_bytes())) as stored:
        schema, rows = stored.schema_arrow, stored.metadata.num_rows
        _require_names(list(schema.names))
        if rows > MOST_ROWS:
            raise _Wrong(f"it is said to have {rows:,} rows, allowed are {MOST_ROWS:,}")
        wanted = [name for name in schema.names if name in _NEEDED or _is_attack(name)]
        for name in wanted:
            if not str(schema.field(name).type).startswith(("int", "uint")):
                raise _Wrong(f"{name} holds {schema.field(name).type}; write whole numbers")
        table = stored.read(columns=wanted)
        for name in wanted:
            if table[name].null_count:
                raise _Wrong(f"{name} has {table[name].null_count:,} empty rows")
        return {name: table[name].to_numpy() for name in wanted}


_READERS: Mapping[str, Callable[[Path], Columns]] = {
    ".csv": _read_csv,
    ".npz": _read_npz,
    ".parquet": _read_parquet,
}


def _is_attack(name: str) -> bool:
    return name == ATTACKED or name.startswith(f"{ATTACKED}_")


def _require_names(names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise _Wrong("two columns have one name")
    missing = [name for name in _NEEDED if name not in names]
    if not any(map(_is_attack, names)):
        missing.append(f"{ATTACKED} or {ATTACKED}_NAME")
    if missing:
        raise _Wrong(f"no column {', no column '.join(missing)}; it has {', '.join(names)[:200]}")


def _checked(columns: Columns, num_classes: int | None) -> Predictions:
    label = columns["label"]
    if label.ndim != 1 or label.dtype.kind not in "iu":
        raise _Wrong("label holds no whole numbers, one an image")
    if not len(label):
        raise _Wrong("it has no rows")
    most = int(label.max()) if num_classes is None else num_classes - 1
    if int(label.min()) < 0 or int(label.max()) > most or most >= MOST_CLASSES:
        told = MOST_CLASSES if num_classes is None else num_classes
        raise _Wrong(f"label is {label.min()} to {label.max()}; allowed: 0 to {told - 1}")
    said = {
        name: _said(name, values, len(label), most=most)
        for name, values in columns.items()
        if name == "clean" or _is_attack(name)
    }
    attacked = {
        name.removeprefix(ATTACKED).removeprefix("_"): values
        for name, values in said.items()
        if name != "clean"
    }
    clean = said["clean"]
    right = clean == label
    # An image that is wrong without an attack is wrong: nobody has to attack it.
    kept = {name: np.where(right, values, clean) for name, values in attacked.items()}
    return Predictions(label.astype(np.int64), clean, kept)


def _said(name: str, values: npt.NDArray[Any], num_rows: int, *, most: int) -> IntArray:
    """Return predictions (N,), of logits (N, C) the largest."""
    if len(values) != num_rows:
        raise _Wrong(f"{name} has {len(values):,} rows, label has {num_rows:,}")
    if values.ndim == 2:
        if not bool(np.isfinite(values).all()):
            row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise _Wrong(f"{name} holds NaN or infinite logits, in row {row} among others")
        if values.shape[1] != most + 1:
            raise _Wrong(f"{name} has {values.shape[1]} logits an image, label {most + 1} classes")
        values = values.argmax(axis=1)
    elif values.dtype.kind not in "iu":
        raise _Wrong(f"{name} holds {values.dtype}; write whole numbers, or logits (N, C)")
    if int(values.min()) < 0 or int(values.max()) > most:
        row = int(np.flatnonzero((values < 0) | (values > most))[0])
        raise _Wrong(f"{name} is {values[row]} in row {row}, and the labels end at {most}")
    return values.astype(np.int64)
