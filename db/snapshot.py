"""Per-sample arrays as one compressed blob, columnar so that one column can be read alone.

Parquet, zstd and byte-stream-split: `docs/database.md` has the measurements that chose them.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

Columns = dict[str, np.ndarray]

_LAYOUT = b"caat.columns"
_PLAIN = ("float32", "float64", "int32", "int64", "uint8", "bool")
_OTHER = ("float16",)
_FEW_VALUES = 1024


def encode(columns: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays of one length as bytes; `decode` gives them back to the last bit.

    Args:
        columns: By name, (N, ...): floats, integers, truth values, or text in one dimension.
    """
    lengths = {name: array.shape[0] if array.ndim else None for name, array in columns.items()}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        raise ValueError(f"columns of a snapshot have one row a sample, not {lengths}")
    layout = {name: [_checked(name, array), *array.shape] for name, array in columns.items()}
    stored = {name: _to_arrow(array) for name, array in columns.items() if array.size}
    table = pa.table(stored).replace_schema_metadata({_LAYOUT: json.dumps(layout)})
    floats = {name for name, column in stored.items() if pa.types.is_floating(column.type)}
    varied = {name for name in floats if len(np.unique(columns[name])) > _FEW_VALUES}
    sink = pa.BufferOutputStream()
    parquet.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=sorted(floats - varied),
        use_byte_stream_split=sorted(varied),
        write_statistics=False,
    )
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]  # pyarrow has no types


def decode(data: bytes, names: Iterable[str] | None = None) -> Columns:
    """Return the arrays, or those of ``names`` that are there."""
    # Without threads of its own: one epoch takes milliseconds, and a command may end right after.
    file = parquet.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    layout: dict[str, Any] = json.loads(file.schema_arrow.metadata[_LAYOUT])
    wanted = list(layout) if names is None else [name for name in names if name in layout]
    table = file.read(columns=wanted, use_threads=False)
    return {name: _from_arrow(table, name, *layout[name]) for name in wanted}


def _checked(name: str, array: np.ndarray) -> str:
    known = array.dtype.isnative and array.dtype.name in (*_PLAIN, *_OTHER)
    if not known and not (array.dtype.kind == "U" and array.ndim == 1):
        raise TypeError(f"column {name!r}: a snapshot does not hold {array.dtype}")
    return array.dtype.str


def _to_arrow(array: np.ndarray) -> Any:
    if array.dtype.kind == "U":
        return pa.array(array.tolist(), pa.string())
    rows = np.ascontiguousarray(array)
    if array.ndim == 1 and array.dtype.name in _PLAIN:
        kind = pa.from_numpy_dtype(array.dtype)
        values = np.packbits(rows, bitorder="little") if array.dtype == bool else rows
    else:  # an image a row, as its bytes
        kind, values = pa.binary(rows.nbytes // len(rows)), rows
    # pa.array() would load pandas to look whether this is its: half a second of a run's start.
    return pa.Array.from_buffers(kind, len(rows), [None, pa.py_buffer(values)])


def _from_arrow(table: Any, name: str, dtype: str, *shape: int) -> np.ndarray:
    if 0 in shape:  # nothing to store but its shape
        return np.zeros(shape, dtype)
    column = table.column(name).combine_chunks()
    if not pa.types.is_fixed_size_binary(column.type):
        return np.array(column.to_numpy(zero_copy_only=False), dtype=dtype)  # a copy is writable
    start = column.offset * column.type.byte_width
    values = np.frombuffer(column.buffers()[1], dtype, count=math.prod(shape), offset=start)
    return values.reshape(shape).copy()
