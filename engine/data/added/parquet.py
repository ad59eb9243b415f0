"""Images in Parquet, in the layout of Hugging Face: ``image.bytes`` and ``label``.

Arrow parses these files in the limited child processes only; here it is asked there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.added.children import Order, parse
from engine.data.added.incoming import Incoming, Parts
from engine.data.added.limited import limit
from engine.data.added.limits import LARGEST_FILE, MOST_CLASSES, MOST_IMAGES
from engine.data.added.names import class_names, in_order
from engine.data.added.pictures import Pictures
from engine.data.added.refusal import Refused
from engine.data.datasets.base import Part

_IMAGE, _LABEL = ("image", "img"), ("label", "labels", "fine_label")
_BATCH = 64


class Rows(Pictures):
    """The rows of Parquet files, group by group."""

    needs_arrow = True

    def __init__(
        self, title: str, files: Sequence[Mapping[str, Any]], names: tuple[str, ...]
    ) -> None:
        self.title, self.files, self.class_names, self.remarks = title, files, names, []
        number = {name: index for index, name in enumerate(names)}
        labels: list[int] = []
        for file in files:
            for row, label in enumerate(file["labels"]):
                where = f"{Path(file['path']).name}, row {row}"
                labels.append(_label(label, number, names, where=where))
        if not 0 < len(labels) <= MOST_IMAGES:
            raise Refused(title, f"has {len(labels):,} images; allowed: 1 to {MOST_IMAGES:,}")
        self.labels = np.array(labels, dtype=np.int64)
        self._starts = np.cumsum([0, *(len(file["labels"]) for file in files)])

    def origin(self, index: int) -> str:
        file = int(np.searchsorted(self._starts, index, side="right")) - 1
        return f"{Path(self.files[file]['path']).name}, row {index - self._starts[file]}"

    def where(self, row: int) -> str:
        return self.origin(row)

    def orders(self) -> list[Order]:
        found, first = [], 0
        for file in self.files:
            for group, number in enumerate(file["groups"]):
                words = {"path": file["path"], "group": group, "first": first}
                found.append(Order(range(first, first + number), words))
                first += number
        return found


def _label(label: Any, number: Mapping[str, int], names: Sequence[str], *, where: str) -> int:
    if isinstance(label, str) and label in number:
        return number[label]
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(names):
        return label
    allowed = f"0 to {len(names) - 1}" if isinstance(label, int) else "a class of training"
    raise Refused(where, f"has the label {str(label)[:60]!r}; allowed: {allowed}")


def read_parquet(files: Sequence[Path], title: str) -> Parts:
    """Return the rows of Parquet files; those named ``test...`` are the test part.

    Raises:
        Refused: One is no such file.
    """
    held: dict[str, list[Mapping[str, Any]]] = {"train": [], "test": []}
    remarks = []
    for file in files:
        word = file.name.lower()
        if word.startswith("val"):
            remarks.append(f"{title}: {file.name} is left out, as validation images")
            continue
        found = parse(file)
        part = "test" if word.startswith("test") and len(files) > 1 else "train"
        held[part].append({"path": str(file.absolute()), **found})
    names = _names([*held["train"], *held["test"]], title)
    parts: dict[Part, Incoming] = {"train": Rows(title, held["train"], names)}
    if held["test"]:
        parts["test"] = Rows(title, held["test"], names)
    return Parts(parts, tuple(remarks))


def _names(files: Sequence[Mapping[str, Any]], title: str) -> tuple[str, ...]:
    told = next((file["names"] for file in files if file["names"]), None)
    if told is not None:
        return class_names([str(name) for name in told], title)
    labels = [label for file in files for label in file["labels"]]
    if all(isinstance(label, str) for label in labels):
        return class_names(in_order(labels), title)
    numbers = [label for label in labels if isinstance(label, int)]
    most = max(numbers, default=0)
    if not 0 <= most < MOST_CLASSES:
        raise Refused(title, f"has the label {most}; allowed: 0 to {MOST_CLASSES - 1}")
    return class_names([str(index) for index in range(most + 1)], title)


# -- in the child


def described(path: Path) -> dict[str, Any]:
    """Return what a file holds: its labels, the sizes of its groups, and the names of classes.

    Raises:
        ValueError: It is none of this layout.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, memory_map=False, pre_buffer=False)
        about = file.metadata
        if about.num_rows > MOST_IMAGES:
            raise ValueError(f"says {about.num_rows:,} rows; allowed: {MOST_IMAGES:,}")
        _image_column(file.schema_arrow)
        label = next((n for n in _LABEL if n in file.schema_arrow.names), None)
        if label is None:
            raise ValueError("has no column label")
        kind = file.schema_arrow.field(label).type
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind)):
            raise ValueError(f"has labels of the type {kind}; allowed: whole numbers or text")
        labels: list[Any] = []
        for batch in file.iter_batches(batch_size=4096, columns=[label], use_threads=False):
            labels += batch.column(0).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"is no Parquet file that can be read ({_first(error)})") from None
    groups = [about.row_group(g).num_rows for g in range(about.num_row_groups)]
    if sum(groups) != len(labels):
        raise ValueError("has another number of rows than it says")
    names = _feature_names(file.schema_arrow.metadata, label)
    return {"labels": labels, "groups": groups, "names": names}


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _image_column(schema: Any) -> str:
    import pyarrow as pa

    name = next((n for n in _IMAGE if n in schema.names), None)
    if name is None:
        raise ValueError("has no column image")
    kind = schema.field(name).type
    if pa.types.is_struct(kind) and any(
        kind.field(i).name == "bytes" for i in range(kind.num_fields)
    ):
        return f"{name}.bytes"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return str(name)
    raise ValueError(f"has images of the type {kind}; allowed: a struct with bytes, or bytes")


def _feature_names(metadata: Mapping[bytes, bytes] | None, label: str) -> list[str] | None:
    """Return the names of a label's classes, as the library `datasets` writes them."""
    text = (metadata or {}).get(b"huggingface", b"{}")
    try:
        names = json.loads(text)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_list else None


def pictures(path: Path, group: int) -> Iterator[bytes]:
    """Yield the bytes of each image of a row group.

    Raises:
        ValueError: One is not there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, memory_map=False, pre_buffer=False)
        column = _image_column(file.schema_arrow)
        some = {"row_groups": [group], "columns": [column], "use_threads": False}
        for batch in file.iter_batches(batch_size=_BATCH, **some):
            for value in batch.column(0).to_pylist():
                data = value["bytes"] if isinstance(value, dict) else value
                if not data or len(data) > LARGEST_FILE:
                    raise ValueError("has no bytes of an image" if not data else "is too large")
                yield data
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"cannot be read ({_first(error)})") from None


def main() -> None:
    """Describe one file: ``python -m engine.data.added.parquet FILE``."""
    import pyarrow.parquet  # noqa: F401 - before memory is limited

    if sys.platform == "linux":
        limit()
    try:
        answer = {"found": described(Path(sys.argv[1]))}
    except (ValueError, MemoryError) as error:
        answer = {"wrong": [0, str(error) or "takes too much memory"]}  # type: ignore[dict-item]
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
