"""A file of somebody's weights, read so that nothing in it is executed or believed unread.

Its size is known before anything is read, an archive's directory before its entries, and a pickle
is read by torch's reader of weights alone, which knows no code.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UserError
from engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 8 * 2**30
"""Bytes of a file of weights."""
LARGEST_HEADER = 16 * 2**20
"""Bytes of what such a file says of itself: names, types and shapes."""
MOST_ENTRIES = 100_000
MOST_WORDS = 3_000_000
"""Of a pickle that stands in no archive; a state dict of 1,000 tensors has some 30,000."""
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_CODE = re.compile(r"GLOBAL (\S+)")

States = dict[str, "dict[str, Tensor]"]
"""Sets of weights by where they stand in the file; one that is the whole file stands at ""."""


class _Refused(Exception):  # noqa: N818 - said to whoever reads, never to a person
    """Why a file is not read any further."""


def read_states(file: Path, field: str, called: str = "") -> States:
    """Read every set of weights that a file holds: safetensors, or what torch.save wrote.

    Args:
        file: Where they are.
        field: What a mistake is told of.
        called: What the file is called in it, if that is not its path.

    Raises:
        UserError: The file cannot be read, holds something else, or would have to be executed.
    """
    told = f"{field}: {called or file}"
    try:
        size = _size(file)
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{told} cannot be read ({why}); name a weights file") from None
    allowed = "allowed: .safetensors, or a state dict of torch.save"
    if size > LARGEST:
        raise UserError(f"{told} has {size:,} bytes; allowed: at most {LARGEST:,}")
    try:
        found = _states(_content(file, size))
    except _Refused as error:
        raise UserError(f"{told} holds no weights that can be read: {error}") from None
    except Exception as error:  # noqa: BLE001 - what is no such file fails in any way it likes
        code = _CODE.search(str(error))
        if code is None:
            found = {}
        else:
            raise UserError(
                f"{told} holds no weights that can be read without executing what it "
                f"names ({code.group(1)[:80]}); save model.state_dict() alone"
            ) from None
    if not found:
        raise UserError(f"{told} holds no weights that can be read; {allowed}")
    return found


def _size(file: Path) -> int:
    known = file.stat()
    if stat.S_ISDIR(known.st_mode):
        raise IsADirectoryError(21, os.strerror(21))
    if not stat.S_ISREG(known.st_mode):
        raise ValueError("it is no plain file")
    with file.open("rb"):
        return known.st_size


def _content(file: Path, size: int) -> Any:
    with file.open("rb") as handle:
        start = handle.read(9)
    if start.startswith(_ZIP):
        _require_plain_archive(file, size)
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    if start.startswith(_PICKLE) and not file.name.endswith(".safetensors"):
        with _FewWords(file.open("rb", buffering=0)) as words:
            return torch.load(words, map_location="cpu", weights_only=True)
    _require_small_header(int.from_bytes(start[:8], "little"), size)
    from safetensors.torch import load_file

    return load_file(file)


def _require_small_header(header: int, size: int) -> None:
    if header + 8 > size:
        raise _Refused("its header is said to be longer than the file")
    if header > LARGEST_HEADER:
        raise _Refused(f"its header has {header:,} bytes, allowed are {LARGEST_HEADER:,}")


def _require_plain_archive(file: Path, size: int) -> None:
    """Refuse an archive that would become larger than its file, or that is mostly directory."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise _Refused(f"it has {len(entries):,} entries, allowed are {MOST_ENTRIES:,}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise _Refused("its entries are compressed, which torch.save never does")
    if sum(entry.file_size for entry in entries) > size:
        raise _Refused("its entries are said to be longer than the file")
    pickled = [entry.file_size for entry in entries if entry.filename.endswith("data.pkl")]
    if max(pickled, default=0) > LARGEST_HEADER:
        raise _Refused(f"its pickle has {max(pickled):,} bytes, allowed are {LARGEST_HEADER:,}")


class _FewWords(io.BufferedReader):
    """A file whose pickle is read word by word, and not without end."""

    words = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size == 1:
            self.words += 1
            if self.words > MOST_WORDS:
                raise pickle.UnpicklingError("too many words")
        return super().read(size)


def _states(found: Any) -> States:
    nested = dict(_below(found, ""))
    return nested or ({"": own} if (own := _weights(found)) else {})


def _below(found: Any, path: str, depth: int = 2) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the sets of weights below the keys of a file, with their keys."""
    if not isinstance(found, Mapping) or not depth:
        return
    for key, value in found.items():
        if isinstance(key, str) and isinstance(value, Mapping):
            deeper = list(_below(value, f"{path}{key}.", depth - 1))
            yield from deeper
            if not deeper and (own := _weights(value)):
                yield f"{path}{key}", own


def _weights(found: Any) -> dict[str, Tensor] | None:
    """Return the tensors of a state dict; anything else, such as an optimiser's state, is none."""
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        return None
    tensors = {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
    return tensors if any(value.ndim for value in tensors.values()) else None


def chosen(states: States, key: str | None, *, called: str, field: str) -> dict[str, Tensor]:
    """Return one set of weights of a file, where it holds several the one that is asked for.

    Raises:
        UserError: There is no such set, or none was chosen.
    """
    if key is not None and key not in states:
        raise UserError(f"{field}: {called} holds no {key!r}; choose {', '.join(states) or 'none'}")
    if key is None and len(states) > 1:
        raise UserError(
            f"{field}: {called} holds {len(states)} sets of weights; choose one with --key: "
            f"{', '.join(list(states)[:10])}"
        )
    return states[next(iter(states)) if key is None else key]
